//! Memory that this process can still have: of the machine, of its control group, and of its own limits.

use crate::counted::human_bytes;
use crate::error::{Error, Result};
use std::fs::read_to_string;
use std::path::Path;

/// The addresses of an arena of glibc's `malloc`, in bytes.
const ARENA_BYTES: u64 = 64 << 20;

/// Refuses what takes more memory than there is, in a sentence that begins and ends so.
pub(crate) fn check_free(bytes: u64, what: &str, remedy: &str) -> Result<()> {
    let Some(available) = available_bytes().filter(|&available| bytes > available) else { return Ok(()) };
    let [bytes, available] = [bytes, available].map(human_bytes);
    Err(Error::input(format!("{what} {bytes} of memory, {available} are available; {remedy}")))
}

/// Memory that can be had without swapping, if the system reports it: the least that any of its limits leaves.
pub(crate) fn available_bytes() -> Option<u64> {
    let machine = || of_machine(&read_to_string("/proc/meminfo").ok()?);
    // A thread that allocates for the first time takes an arena of addresses, most of which it does not use.
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let arenas = ARENA_BYTES.saturating_mul(threads + 1);
    let own =
        || of_process(&read_to_string("/proc/self/limits").ok()?, &read_to_string("/proc/self/status").ok()?, arenas);
    let group = || of_group(Path::new("/sys/fs/cgroup"), &read_to_string("/proc/self/cgroup").ok()?);
    [machine(), own(), group()].into_iter().flatten().min()
}

/// The number in KiB after a name, such as `MemAvailable:     1024 kB`, in bytes.
fn kib_after(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib.saturating_mul(1024))
}

/// By /proc/meminfo.
fn of_machine(meminfo: &str) -> Option<u64> {
    kib_after(meminfo, "MemAvailable:")
}

/// By the limits of address space and data (`ulimit -v`, `ulimit -d`) in /proc/self/limits, less what
/// /proc/self/status says is taken, and of the address space `arenas` that will be.
fn of_process(limits: &str, status: &str, arenas: u64) -> Option<u64> {
    let left = |(limit, taken, reserved): (&str, &str, u64)| {
        let soft = limits.lines().find_map(|line| line.strip_prefix(limit))?;
        let soft: u64 = soft.split_whitespace().next()?.parse().ok()?;
        Some(soft.saturating_sub(kib_after(status, taken)?.saturating_add(reserved)))
    };
    [("Max address space", "VmSize:", arenas), ("Max data size", "VmData:", 0)].into_iter().filter_map(left).min()
}

/// By the control groups that the process is in, of version 2 or 1: what the narrowest leaves. Pages of files that can be
/// given back count as free.
fn of_group(root: &Path, groups: &str) -> Option<u64> {
    let number = |path: &Path| read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let mut least: Option<u64> = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, within) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let (base, [limit, usage, cache]) = match controllers {
            "" => (root.to_path_buf(), ["memory.max", "memory.current", "inactive_file "]),
            list if list.split(',').any(|name| name == "memory") => {
                (root.join("memory"), ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "])
            }
            _ => continue,
        };
        // Each group's limit holds for those inside of it; in a container the path may be the host's, and the root is ours.
        for group in Path::new(within.trim_start_matches('/')).ancestors() {
            let folder = base.join(group);
            let (Some(most), Some(used)) = (number(&folder.join(limit)), number(&folder.join(usage))) else { continue };
            let stat = read_to_string(folder.join("memory.stat")).unwrap_or_default();
            let cached = stat.lines().find_map(|line| line.strip_prefix(cache)?.trim().parse().ok()).unwrap_or(0);
            let left = most.saturating_sub(used.saturating_sub(cached));
            least = Some(least.map_or(left, |known| known.min(left)));
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_what_is_free() {
        assert_eq!(of_machine("MemTotal: 9 kB\nMemAvailable:    7 kB\n"), Some(7 * 1024));
        assert_eq!(of_machine("MemTotal: 9 kB\n"), None);
    }

    #[test]
    fn a_limit_of_the_process_counts() {
        let limits = "Limit   Soft Limit  Hard Limit  Units\nMax data size  unlimited  unlimited  bytes\n\
                      Max address space         10240          unlimited            bytes\n";
        assert_eq!(of_process(limits, "VmPeak: 9 kB\nVmSize:  4 kB\nVmData: 1 kB\n", 0), Some(6 * 1024));
        assert_eq!(of_process(limits, "VmSize:  4 kB\nVmData: 1 kB\n", 1024), Some(5 * 1024));
        assert_eq!(of_process(limits, "VmSize:  400 kB\nVmData: 1 kB\n", 0), Some(0));
        assert_eq!(of_process(&limits.replace("10240", "unlimited"), "VmSize: 4 kB\n", 0), None);
        let data = limits.replace("unlimited  unlimited", "3072  unlimited");
        assert_eq!(of_process(&data, "VmSize: 4 kB\nVmData: 1 kB\n", 0), Some(2 * 1024));
    }

    #[test]
    fn the_narrowest_group_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        assert_eq!(of_group(root.path(), "0::/a/b\n"), None);
        for (group, most, used) in [("a", "1000", "500"), ("a/b", "max", "100")] {
            write(&format!("{group}/memory.max"), most);
            write(&format!("{group}/memory.current"), used);
        }
        assert_eq!(of_group(root.path(), "0::/a/b\n"), Some(500));
        write("a/memory.stat", "anon 3\ninactive_file 200\nactive_file 9\n");
        assert_eq!(of_group(root.path(), "0::/a/b\n"), Some(700));
        write("memory/c/memory.limit_in_bytes", "300\n");
        write("memory/c/memory.usage_in_bytes", "100\n");
        assert_eq!(of_group(root.path(), "5:cpu,cpuacct:/\n4:memory:/c\n0::/a\n"), Some(200));
        write("memory.max", "90");
        write("memory.current", "80");
        assert_eq!(of_group(root.path(), "0::/of/the/host\n"), Some(10));
    }
}
