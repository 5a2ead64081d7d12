//! The end of the process that has loaded plug-ins: the system starts it again when it is needed,
//! without what is gone.
//!
//! This is the one program that is ever started: by its absolute path, with an empty environment.

/// The command by which a person does the same.
pub const BY_HAND: &str = "sudo launchctl kill SIGKILL system/com.apple.dspluginhelperd";

/// Ends the loader of this Mac, where it runs.
///
/// # Errors
/// When it cannot be ended.
#[cfg(target_os = "macos")]
pub fn end() -> Result<(), String> {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};
    /// launchctl's own word: there is no process to signal, or no such service.
    const NOT_RUNNING: [i32; 2] = [3, 113];
    let started = Command::new("/bin/launchctl")
        .args(["kill", "SIGKILL", "system/com.apple.dspluginhelperd"])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return Err(format!("/bin/launchctl cannot be run: {error}")),
    };
    let began = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) if status.code().is_some_and(|c| NOT_RUNNING.contains(&c)) => {
                return Ok(());
            }
            Ok(Some(status)) => return Err(format!("/bin/launchctl: {status}")),
            Ok(None) if began.elapsed() < Duration::from_secs(10) => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err("/bin/launchctl did not answer within 10 s".into());
            }
            Err(error) => return Err(format!("/bin/launchctl: {error}")),
        }
    }
}

/// Where there is no such loader there is nothing to end.
///
/// # Errors
/// Never.
#[cfg(not(target_os = "macos"))]
pub fn end() -> Result<(), String> {
    Ok(())
}
