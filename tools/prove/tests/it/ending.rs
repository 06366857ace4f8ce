//! What `prove` leaves behind.

use std::{
    collections::HashMap,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::programs;

const PATIENCE: Duration = Duration::from_secs(60);

/// Running processes by number: their parent's number, and their name.
fn processes() -> HashMap<u32, (u32, String)> {
    let folders = std::fs::read_dir("/proc").unwrap().flatten();
    let process = |folder: std::fs::DirEntry| {
        let number = folder.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(folder.path().join("stat")).ok()?;
        // number (name) state parent ..
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        let mut rest = rest.split_whitespace();
        let running = rest.next()? != "Z";
        running.then_some((number, (rest.next()?.parse().ok()?, name.to_owned())))
    };
    folders.filter_map(process).collect()
}

fn children(parent: u32) -> HashMap<u32, String> {
    let children = processes().into_iter().filter(|(_, (of, _))| *of == parent);
    children.map(|(number, (_, name))| (number, name)).collect()
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// As `kill`, a shell's Ctrl-C and a machine that shuts down end it, in the middle of an experiment.
#[test]
fn told_to_end_it_takes_its_services_and_servers_along() {
    let folder = programs::folder(&["prove", "bruin-bridge", "digi-bridge"]);
    for signal in [Signal::TERM, Signal::INT] {
        let mut prove = Command::new(folder.join("prove"));
        let prove = prove.args(["--short", "third-parties"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut prove = prove.spawn().unwrap();
        let all = ["nats-server", "redis-server", "bruin-bridge", "digi-bridge"];
        let there = |name: &str| children(prove.id()).values().any(|child| child == name);
        until("services and servers run", || all.iter().all(|name| there(name)));
        let begun = children(prove.id());
        kill_process(Pid::from_child(&prove), signal).unwrap();
        assert!(!prove.wait().unwrap().success(), "nothing was proved");
        let left = |processes: &HashMap<u32, (u32, String)>| {
            let is = |(number, name): &(&u32, &String)| {
                processes.get(number).is_some_and(|(_, present)| present == *name)
            };
            begun.iter().filter(is).count()
        };
        until("none of them runs", || left(&processes()) == 0);
    }
}
