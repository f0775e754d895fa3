//! Metrics of the process, on Linux only. The names are those of the client libraries of Prometheus.

use std::fs;

use resource_server::metrics::Text;

/// Ticks per second (`USER_HZ`).
const TICKS: u64 = 100;

pub(crate) fn write(text: &mut Text) {
    if let Some(bytes) = resident_bytes() {
        let name = "process_resident_memory_bytes";
        text.family(name, "gauge", "Memory that is in use.");
        text.sample(name, &[], bytes);
    }
    if let Some((cpu, since_boot)) = times() {
        let name = "process_cpu_seconds_total";
        text.family(name, "counter", "Processor time that was used.");
        text.sample(name, &[], seconds(cpu));
        if let Some(boot) = boot_time() {
            let name = "process_start_time_seconds";
            text.family(name, "gauge", "When the process began, since 1970.");
            text.sample(name, &[], seconds(boot * TICKS + since_boot));
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        let name = "process_open_fds";
        text.family(name, "gauge", "Open files and connections.");
        // Without the directory that is being read.
        text.sample(name, &[], open.count().saturating_sub(1));
    }
    if let Some(most) = most_open_files() {
        let name = "process_max_fds";
        text.family(name, "gauge", "How many open files there may be.");
        text.sample(name, &[], most);
    }
}

fn seconds(ticks: u64) -> String {
    format!("{}.{:02}", ticks / TICKS, ticks % TICKS)
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kib: u64 = word_after(&status, "VmRSS:")?.parse().ok()?;
    Some(kib * 1_024)
}

/// The processor time of the process, and its start after boot, in ticks.
fn times() -> Option<(u64, u64)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses, which may contain spaces.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    let user: u64 = words.nth(11)?.parse().ok()?;
    let system: u64 = words.next()?.parse().ok()?;
    let began: u64 = words.nth(6)?.parse().ok()?;
    Some((user + system, began))
}

fn boot_time() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    word_after(&stat, "btime")?.parse().ok()
}

fn most_open_files() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    word_after(&limits, "Max open files")?.parse().ok()
}

/// The first word after the prefix of a line.
fn word_after<'a>(text: &'a str, begin: &str) -> Option<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(begin))?;
    line.split_whitespace().next()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn linux_tells_everything() {
        let mut text = Text::new("");
        write(&mut text);
        let text = text.finish();
        let value = |name: &str| -> f64 { word_after(&text, name).unwrap().parse().unwrap() };
        assert!(value("process_resident_memory_bytes ") > 1e6);
        assert!(value("process_cpu_seconds_total ") >= 0.0);
        assert!(value("process_open_fds ") >= 3.0);
        assert!(value("process_max_fds ") > value("process_open_fds "));
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let age = now.as_secs_f64() - value("process_start_time_seconds ");
        assert!((-2.0..86_400.0).contains(&age), "{age}");
    }
}
