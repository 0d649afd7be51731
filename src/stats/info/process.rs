//! What the kernel says of this process. Read from /proc, as asking for it otherwise would be unsafe
//! code; where there is no /proc the numbers are 0.

use std::fs;

/// Seconds of CPU time, of this process and of children that it waited for.
#[derive(Default)]
pub(super) struct Cpu {
    pub user: f64,
    pub sys: f64,
    pub user_children: f64,
    pub sys_children: f64,
}

/// The unit of times in /proc/self/stat: USER_HZ, which is 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) fn cpu() -> Cpu {
    fs::read_to_string("/proc/self/stat").ok().and_then(|stat| parse_cpu(&stat)).unwrap_or_default()
}

fn parse_cpu(stat: &str) -> Option<Cpu> {
    // The second field is the program's name in parentheses; it may hold spaces and parentheses.
    let (_, after_name) = stat.rsplit_once(')')?;
    // utime is field 14 of proc(5), so the 12th after the name.
    let mut times = after_name.split_ascii_whitespace().skip(11);
    let mut next = || Some(times.next()?.parse::<u64>().ok()? as f64 / TICKS_PER_SECOND);
    Some(Cpu { user: next()?, sys: next()?, user_children: next()?, sys_children: next()? })
}

/// Resident bytes. Of /proc/self/status rather than statm: that one counts pages of unknown size.
pub(super) fn resident_bytes() -> u64 {
    kilobytes("/proc/self/status", "VmRSS:") * 1024
}

pub(super) fn system_memory_bytes() -> u64 {
    kilobytes("/proc/meminfo", "MemTotal:") * 1024
}

fn kilobytes(file: &str, field: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Kernel, release and machine, as in Redis's `os` field.
pub(super) fn os() -> String {
    let read = |file| fs::read_to_string(file).map_or_else(|_| "unknown".to_owned(), |s| s.trim().to_owned());
    let (kind, release) = (read("/proc/sys/kernel/ostype"), read("/proc/sys/kernel/osrelease"));
    format!("{kind} {release} {}", std::env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_times_are_found_behind_any_program_name() {
        let stat = "7 (a) b (c) R 1 2 3 4 5 6 7 8 9 10 150 25 300 4 20 0";
        let cpu = parse_cpu(stat).expect("all fields are there");
        assert_eq!((cpu.user, cpu.sys, cpu.user_children, cpu.sys_children), (1.5, 0.25, 3.0, 0.04));
        assert!(parse_cpu("7 (x) R 1 2").is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_and_a_system() {
        assert!(resident_bytes() > 100_000 && resident_bytes() < system_memory_bytes());
        assert!(os().starts_with("Linux "));
    }
}
