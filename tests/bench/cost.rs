//! What a scan costs, beside what a user would have without dsplug: one table of ratios, measured
//! in turn in one run.
//!
//! No harness of single functions: what counts is a whole run beside another program's, each pair
//! in turn, so that a busy machine slows both. Beside the time by the clock stands that of the
//! processors, all threads and programs of a side together. `cargo bench` prints it;
//! `cargo bench -- NAME` only the parts whose name holds NAME.
//!
//! `OPENSSL_ia32cap=:~0x20000000` keeps openssl from the SHA instructions of an x86_64 processor.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a panic is a bench's report"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dsplug::limits::Limits;
use dsplug::root::Root;
use dsplug::scan::{Scanner, Snapshot};
use dsplug_fixtures::macho::{Cpu, MachO};
use dsplug_fixtures::signed_bundle::{Form, SignedBundle};
use dsplug_fixtures::{Disk, PLUGINS, Plugin};

/// Each thing is measured so often, in turn with what it is compared with.
const ROUNDS: usize = 7;
/// A change more recent than two seconds is read again.
const SETTLED: Duration = Duration::from_millis(2200);
/// What a child of this program does instead: two scans of a disk, a mark between them.
const TWO_SCANS: &str = "--two-scans";
/// A path that is looked for, for the sake of a trace, and is not there.
const MARK: &str = "/the-second-scan-begins";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, disk] = args.as_slice()
        && first == TWO_SCANS
    {
        return two_scans(Path::new(disk));
    }
    let wanted = args.iter().find(|a| !a.starts_with('-'));
    println!(
        "load average {}; medians of {ROUNDS}; each ratio's two sides were measured in turn\n",
        fs::read_to_string("/proc/loadavg")
            .unwrap_or_default()
            .trim()
    );
    println!(
        "{:<44} {:>10} {:>10} {:>7} {:>10}",
        "", "dsplug", "other", "ratio", "processor"
    );
    for (name, part) in [
        ("cold", many_bundles as fn()),
        ("executable", large_executable),
        ("linear", linear),
        ("small", small),
        ("day", day),
    ] {
        if wanted.is_none_or(|w| name.contains(w.as_str())) {
            part();
        }
    }
}

/// 200 bundles of 22 files each, 465 MB in all: a cold and a warm scan.
fn many_bundles() {
    let disk = Disk::new();
    let files = signed_bundles(&disk, 200, 116 << 10);
    let bytes: u64 = files.iter().map(|f| f.metadata().unwrap().len()).sum();
    println!(
        "200 bundles, {} files, {} MB",
        files.len(),
        bytes / 1_000_000
    );
    sleep(SETTLED);
    let root = disk.path();
    let cold = || whole(&scanner(root).scan());
    let openssl = || {
        run(Command::new("openssl")
            .args(["dgst", "-sha256"])
            .args(&files));
    };
    compare("cold scan : openssl dgst -sha256", cold, openssl);
    let sparing = Limits {
        spare_cores: Limits::STANDARD.spare_cores,
        ..Limits::THOROUGH
    };
    let sparing = || whole(&Scanner::new(Root::open(root).unwrap(), sparing).scan());
    compare("the same, a core left free : openssl", sparing, openssl);
    if let Some(osqueryi) = osqueryi() {
        let sql = format!(
            "SELECT f.path, f.mtime, h.sha256 FROM file f JOIN hash h USING (path) \
             WHERE f.path LIKE '{}/%%' AND f.type = 'regular'",
            disk.at(PLUGINS).display()
        );
        compare("cold scan : osquery, file join hash", cold, || {
            run(Command::new(&osqueryi).args(["--json", "--disable_extensions", &sql]));
        });
    } else {
        println!("  skipped: osquery, file join hash: OSQUERYD names no osqueryd");
    }
    let mut remembering = scanner(root).remembering();
    whole(&remembering.scan());
    let warm = || assert_eq!(remembering.scan().status.files_read, 0);
    compare("warm scan : find, a stat of every file", warm, || {
        let printf = ["-printf", "%p %y %s %T@ %C@ %U %G %m %i\n"];
        run(Command::new("find").arg(disk.at(PLUGINS)).args(printf));
    });
    over_the_socket(root);
    traced(root);
    peak(root, "peak memory, cold scan by dsplug query");
}

/// One signed executable of 364 MB; and the memory that one of 1 GB takes.
fn large_executable() {
    let disk = Disk::new();
    let at = disk.plugin("Large.dsplug/Contents/MacOS/Large");
    let large = |len: usize| {
        let bundle = SignedBundle::new("Large", Form::Deep).executable(move |signature| {
            MachO::bundle(Cpu::Arm64e).code_len(len).signed(signature)
        });
        bundle.write(disk.at(PLUGINS));
        println!(
            "signed executable, {} MB",
            at.metadata().unwrap().len() / 1_000_000
        );
    };
    large(361 << 20);
    compare(
        "verification : openssl dgst -sha256",
        || {
            let snapshot = scanner(disk.path()).scan();
            whole(&snapshot);
            let state = snapshot.bundles[0].signature.state;
            assert_eq!(state.as_str(), "adhoc");
        },
        || run(Command::new("openssl").args(["dgst", "-sha256"]).arg(&at)),
    );
    peak(disk.path(), "peak memory");
    large(1 << 30);
    peak(disk.path(), "peak memory");
}

/// Ten times the bundles, ten times the time.
fn linear() {
    let [few, many] = [200, 2_000].map(|count| {
        let disk = Disk::new();
        signed_bundles(&disk, count, 100);
        disk
    });
    println!("2,000 bundles, 44,000 files : 200 bundles, 4,400 files, all small");
    sleep(SETTLED);
    let cold = |disk: &Disk| whole(&scanner(disk.path()).scan());
    compare("cold scan (10 is linear)", || cold(&many), || cold(&few));
    let [mut many_warm, mut few_warm] =
        [&many, &few].map(|disk| scanner(disk.path()).remembering());
    for scanner in [&mut many_warm, &mut few_warm] {
        whole(&scanner.scan());
    }
    let warm = |scanner: &mut Scanner| assert_eq!(scanner.scan().status.files_read, 0);
    compare(
        "warm scan (10 is linear)",
        || warm(&mut many_warm),
        || warm(&mut few_warm),
    );
    peak(many.path(), "peak memory");
}

/// Bundles signed ad hoc, each with a seal over 19 resources of that length; gives their files.
fn signed_bundles(disk: &Disk, count: usize, len: usize) -> Vec<PathBuf> {
    for number in 0..count {
        let name = format!("Bundle{number}");
        let keys = Plugin::new(&name);
        let mut bundle = SignedBundle::new(&name, Form::Deep)
            .with_info_plist(keys.info_plist())
            .executable(move |s| MachO::bundle(Cpu::Arm64e).code_len(len.max(4096)).signed(s));
        for file in 0..19_usize {
            let byte = u8::try_from((number + file) % 251).unwrap();
            bundle = bundle.file(&format!("Resources/{file}.bin"), &vec![byte; len]);
        }
        bundle.write(disk.at(PLUGINS));
    }
    walkdir::WalkDir::new(disk.at(PLUGINS))
        .into_iter()
        .map(Result::unwrap)
        .filter(|e| e.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect()
}

/// Without a budget of time: a slow machine shall show its time, and not be cut.
fn scanner(disk: &Path) -> Scanner {
    Scanner::new(Root::open(disk).unwrap(), Limits::THOROUGH)
}

/// A scan that left nothing out.
fn whole(snapshot: &Snapshot) {
    assert!(!snapshot.bundles.is_empty());
    for bundle in &snapshot.bundles {
        assert!(bundle.digest.is_some(), "{:?}", bundle.evidence.troubles);
    }
}

fn run(command: &mut Command) {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.unwrap().success(), "{command:?}");
}

/// Measures both in turn and prints their medians, and the ratio of all the processor time.
fn compare(name: &str, mut ours: impl FnMut(), mut theirs: impl FnMut()) {
    let timed = |run: &mut dyn FnMut()| {
        let (begun, spent) = (Instant::now(), processor());
        run();
        (begun.elapsed(), processor() - spent)
    };
    timed(&mut ours);
    timed(&mut theirs);
    let (a, b): (Vec<_>, Vec<_>) = (0..ROUNDS)
        .map(|_| (timed(&mut ours), timed(&mut theirs)))
        .unzip();
    let median = |times: &[(Duration, f64)]| {
        let mut times: Vec<_> = times.iter().map(|(time, _)| *time).collect();
        times.sort_unstable();
        times[ROUNDS / 2].as_secs_f64() * 1000.0
    };
    let sum = |times: &[(Duration, f64)]| times.iter().map(|(_, spent)| spent).sum::<f64>();
    let processor = sum(&a) / sum(&b);
    let (a, b) = (median(&a), median(&b));
    println!(
        "  {name:<42} {a:>7.1} ms {b:>7.1} ms {:>7.2} {processor:>10.2}",
        a / b
    );
}

/// Processor time of this process and of its children that have ended, in ticks of the system; not a
/// number where the system does not say.
fn processor() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // proc(5): utime, stime, cutime and cstime are the fields 14 to 17; the name may hold blanks.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(4);
    ticks
        .map(|ticks| ticks.parse::<f64>().unwrap_or(f64::NAN))
        .reduce(|a, b| a + b)
        .unwrap_or(f64::NAN)
}

/// Calls of the system for a scan of a Mac without plug-ins, with strace: what `dsplug_status` and a
/// query over the tables ask of the disk.
fn small() {
    let disk = Disk::new();
    for name in ["Library", "System"] {
        fs::create_dir_all(disk.at(name)).unwrap();
    }
    let log = tempfile::NamedTempFile::new().unwrap();
    let trace = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=openat,statx,getdents64", "-o"])
        .arg(log.path())
        .arg(env!("CARGO_BIN_EXE_dsplug"))
        .args(["query", "SELECT path FROM dsplug_bundles", "--root"])
        .arg(disk.path())
        .stdout(Stdio::null())
        .status();
    if trace.is_err() {
        return println!("  skipped: what an empty Mac costs: there is no strace");
    }
    let log = fs::read_to_string(log.path()).unwrap();
    // What the program's start opens has a path; what a scan opens is below a directory.
    let opened = log
        .lines()
        .filter(|l| l.contains("openat(") && !l.contains("AT_FDCWD"));
    let (opened, stats) = (
        opened.count(),
        log.lines().filter(|l| l.contains("statx(")).count(),
    );
    println!("  an empty Mac: {opened} directories opened, {stats} stats");
    assert!(
        opened <= 8,
        "a first scan of an empty Mac opens more than before"
    );
}

/// What a day of the pack costs under a real osqueryd.
fn day() {
    let Some(osqueryd) = std::env::var_os("OSQUERYD") else {
        return println!("  skipped: a day of the pack: OSQUERYD names no osqueryd");
    };
    let empty = Disk::new();
    fs::create_dir_all(empty.at("Library")).unwrap();
    let [few, many] = [3, 200].map(|count| {
        let disk = Disk::new();
        signed_bundles(&disk, count, 116 << 10);
        disk
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/day.py");
    let disks = [
        ("empty", &empty),
        ("3 bundles", &few),
        ("200 bundles", &many),
    ];
    let status = Command::new("python3")
        .arg(script)
        .args([env!("CARGO_BIN_EXE_dsplug").into(), osqueryd])
        .args(disks.map(|(name, disk)| format!("{name}={}", disk.path().display())))
        .status();
    assert!(status.unwrap().success());
}

/// Registration and `generate`, from the manager's side.
fn over_the_socket(disk: &Path) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let python = tests.join(".venv/bin/python");
    if !python.exists() {
        return println!("  skipped: over the socket: tests/setup/python.sh makes what it needs");
    }
    let mut command = Command::new(python);
    command.arg(tests.join("bench/generate.py"));
    command.arg(env!("CARGO_BIN_EXE_dsplug")).arg(disk);
    assert!(command.status().unwrap().success(), "{command:?}");
}

fn osqueryi() -> Option<PathBuf> {
    let daemon = PathBuf::from(std::env::var_os("OSQUERYD")?);
    Some(daemon.with_file_name("osqueryi")).filter(|p| p.exists())
}

/// The most memory that the program itself holds while it queries a disk once.
fn peak(disk: &Path, name: &str) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dsplug"))
        .args(["query", "--thorough", "--root"])
        .arg(disk)
        .arg("SELECT path, hash, signature_state FROM dsplug_bundles")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0.0_f64;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|l| l.trim().strip_suffix(" kB")?.parse().ok());
        most = most.max(kilobytes.unwrap_or(0.0));
        sleep(Duration::from_millis(2));
    }
    assert!(child.wait().unwrap().success());
    println!("  {name:<42} {:>7.1} MB", most / 1024.0);
}

fn two_scans(disk: &Path) {
    let mut scanner = scanner(disk).remembering();
    whole(&scanner.scan());
    assert!(!Path::new(MARK).exists());
    whole(&scanner.scan());
}

/// Which files a warm scan opens, by strace where there is one: directories alone.
fn traced(disk: &Path) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let trace = Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-e",
            "trace=open,openat,openat2,read,pread64,statx",
            "-o",
        ])
        .arg(log.path())
        .arg(std::env::current_exe().unwrap())
        .arg(TWO_SCANS)
        .arg(disk)
        .status();
    if trace.is_err() {
        return println!("  skipped: what a warm scan opens: there is no strace");
    }
    let log = fs::read_to_string(log.path()).unwrap();
    let (_, second) = log.split_once(MARK).unwrap();
    let count = |what: &dyn Fn(&str) -> bool| second.lines().filter(|l| what(l)).count();
    let opened = count(&|l| l.contains("O_DIRECTORY"));
    let files = count(&|l| l.contains("open") && !l.contains("O_DIRECTORY"));
    let reads = count(&|l| l.contains("read(") || l.contains("pread64("));
    let stats = count(&|l| l.contains("statx"));
    println!(
        "  a warm scan: {files} files opened, {reads} reads, {opened} directories opened, {stats} stats"
    );
    assert_eq!(files, 0, "a warm scan opens no file");
}
