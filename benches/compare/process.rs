//! Server processes: started on a core, measured through /proc, ended when dropped.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};

/// CPU time, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cpu {
    /// All of it, to the nanosecond.
    pub total: f64,
    /// In the program: in whole ticks as it is read, a share of the total after `split`.
    pub user: f64,
    /// In the kernel on its behalf, likewise.
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

    /// Divides the exact total as the ticks are divided.
    pub fn split(self) -> Cpu {
        let ticks = self.user + self.system;
        let user = if ticks > 0.0 { self.total * self.user / ticks } else { 0.0 };
        Cpu { total: self.total, user, system: self.total - user }
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
pub struct Process {
    child: Child,
    /// Nanoseconds of CPU of each thread seen so far, so that those of one that has ended stay counted.
    threads: RefCell<BTreeMap<u32, u64>>,
}

impl Process {
    /// Starts a program on a core. `taskset` becomes the program, so that the process is the server's own.
    pub fn start(core: usize, program: &str, args: &[String]) -> Process {
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string(), program]).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("taskset is installed");
        Process { child, threads: RefCell::default() }
    }

    /// CPU time of all its threads so far. A thread's time is brought up to date when it leaves the CPU: ask
    /// when it is idle.
    pub fn cpu(&self) -> Cpu {
        let proc = format!("/proc/{}", self.child.id());
        let mut threads = self.threads.borrow_mut();
        for task in fs::read_dir(format!("{proc}/task")).expect("it runs until it is dropped").flatten() {
            // A thread may end between the two looks.
            let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
            let id = task.file_name().to_string_lossy().parse().expect("threads are named by number");
            threads.insert(id, on_cpu(&text).expect("schedstat begins with the time on a CPU"));
        }
        let total = threads.values().sum::<u64>() as f64 / 1000.0;
        let stat = fs::read_to_string(format!("{proc}/stat")).expect("it runs until it is dropped");
        let [user, system] = ticks(&stat).expect("stat has 52 fields");
        Cpu { total, user: user * TICK_US, system: system * TICK_US }
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // fails only if it has ended already
        let _ = self.child.wait();
    }
}

/// Nanoseconds on a CPU: the first number of a thread's schedstat.
pub fn on_cpu(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().next()?.parse().ok()
}

/// utime and stime of a process, fields 14 and 15 of its stat. The name before them, in parentheses, may hold
/// anything.
pub fn ticks(stat: &str) -> Option<[f64; 2]> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11).map(|field| field.parse().ok());
    Some([fields.next()??, fields.next()??])
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
