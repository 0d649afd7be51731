//! Server processes: started on a core, measured through /proc, ended when dropped.

use std::fs;
use std::process::{Child, Command, Stdio};

/// CPU time, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    /// All of it, to the nanosecond.
    pub total: f64,
    /// In the program, in whole ticks.
    pub user: f64,
    /// In the kernel on its behalf, in whole ticks.
    pub system: f64,
}

/// Linux reports user and system time to programs in ticks of this length on every architecture.
const TICK_US: f64 = 10_000.0;

impl Cpu {
    /// What was used since `before`.
    pub fn since(self, before: Cpu) -> Cpu {
        let Cpu { total, user, system } = before;
        Cpu { total: self.total - total, user: self.user - user, system: self.system - system }
    }

    /// The share of one of `n` requests.
    pub fn per_request(self, n: usize) -> Cpu {
        let n = n as f64;
        Cpu { total: self.total / n, user: self.user / n, system: self.system / n }
    }
}

impl std::ops::Add for Cpu {
    type Output = Cpu;
    fn add(self, other: Cpu) -> Cpu {
        let Cpu { total, user, system } = other;
        Cpu { total: self.total + total, user: self.user + user, system: self.system + system }
    }
}

/// A running server.
pub struct Process(Child);

impl Process {
    /// Starts a program on a core. `taskset` becomes the program, so that the process is the server's own.
    pub fn start(core: usize, program: &str, args: &[String]) -> Process {
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string(), program]).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Process(command.spawn().expect("taskset is installed"))
    }

    /// CPU time of all its threads so far. Threads that have ended count only in ticks: none of the servers
    /// ends any at work.
    pub fn cpu(&self) -> Cpu {
        let proc = format!("/proc/{}", self.0.id());
        let stat = fs::read_to_string(format!("{proc}/stat")).unwrap();
        // The name, in parentheses, may hold anything; utime and stime are fields 14 and 15.
        let fields: Vec<&str> = stat[stat.rfind(')').unwrap()..].split_whitespace().collect();
        let ticks = |n: usize| fields[n].parse::<f64>().unwrap() * TICK_US;
        let nanos = |task: fs::DirEntry| {
            let schedstat = fs::read_to_string(task.path().join("schedstat")).ok()?;
            schedstat.split_whitespace().next()?.parse::<f64>().ok()
        };
        let tasks = fs::read_dir(format!("{proc}/task")).unwrap().flatten();
        let total = tasks.filter_map(nanos).sum::<f64>() / 1000.0;
        Cpu { total, user: ticks(12), system: ticks(13) }
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill(); // fails only if it has ended already
        let _ = self.0.wait();
    }
}

/// Binds this process, and all that it will start, to a core.
pub fn pin_self(core: usize) {
    tell("taskset", &["-cp", &core.to_string(), &std::process::id().to_string()]);
}

/// Allows as many open files as may be had: thousands of connections have both ends on this machine.
pub fn raise_file_limit() {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let hard = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let hard = hard.split_whitespace().nth(1).unwrap().to_owned();
    tell("prlimit", &["--pid", &std::process::id().to_string(), &format!("--nofile={hard}:{hard}")]);
}

/// True if this program can be started.
pub fn exists(program: &str) -> bool {
    let run = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    run.is_ok()
}

fn tell(program: &str, args: &[&str]) {
    let status = Command::new(program).args(args).stdout(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "{program} {args:?} failed: is it installed?");
}
