//! A write that no time of a file tells.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// A file that is mapped, its first page dirty, so that it can be written while all its times stay.
pub struct Mapped {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<std::process::ChildStdout>,
}

impl Mapped {
    pub fn new(path: &Path) -> Self {
        let script = "import mmap, os, sys\n\
                      page = mmap.mmap(os.open(sys.argv[1], os.O_RDWR), 0)\n\
                      page[:1] = page[:1]\n\
                      print(flush=True)\n\
                      for line in sys.stdin:\n\
                      \x20   at, data = line.split()\n\
                      \x20   data = bytes.fromhex(data)\n\
                      \x20   page[int(at):int(at) + len(data)] = data\n\
                      \x20   print(flush=True)\n";
        let mut process = Command::new("python3")
            .args(["-c", script])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let mut mapped = Self {
            process,
            orders,
            answers,
        };
        mapped.wait();
        mapped
    }

    fn wait(&mut self) {
        self.answers.read_line(&mut String::new()).unwrap();
    }

    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        writeln!(self.orders, "{at} {hex}").unwrap();
        self.wait();
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
