//! `fleet services` of a fleet that runs: everyone shows itself, with what it has done.

use std::collections::{BTreeMap, BTreeSet};

use fleet::{cli::Services, replay::Surroundings, services};
use runtime::Environment;
use serde_json::Value;

use crate::{
    programs::PROGRAMS,
    stage::{PATIENCE, Stage, assert_no_restarts},
    subjects::samples,
};

/// What the command says.
async fn said(stage: &Stage, json: bool) -> String {
    let options = Services { nats: Some(stage.nats.url()), subjects: false, json };
    let around = Surroundings { environment: Environment::default(), folder: std::env::temp_dir() };
    services::run(&options, &around).await.unwrap().text
}

/// How many requests each subject has answered, by its service.
async fn listed(stage: &Stage) -> BTreeMap<String, BTreeMap<String, u64>> {
    let listed: Vec<Value> = serde_json::from_str(&said(stage, true).await).unwrap();
    let count = |endpoint: &Value| {
        (endpoint["subject"].as_str().unwrap().to_owned(), endpoint["num_requests"].as_u64().unwrap())
    };
    let counts = |service: &Value| service["endpoints"].as_array().unwrap().iter().map(count).collect();
    listed.iter().map(|service| (service["name"].as_str().unwrap().to_owned(), counts(service))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_fourteen_services_are_listed_and_their_counts_grow() {
    let stage = Stage::new().await;
    let supervisor = stage.run(&PROGRAMS).await;
    let before = listed(&stage).await;
    let names: BTreeSet<&str> = before.keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(PROGRAMS));
    // It only asks, and is there all the same.
    assert!(before["service-outage-monitor"].is_empty());

    let (old, samples) = (stage.old_peer().await, samples(&stage));
    for sample in &samples {
        old.request(sample.subject, &sample.envelope, PATIENCE).await;
    }
    // A reply is counted when it was sent.
    let grown = async {
        loop {
            let after = listed(&stage).await;
            let grew = |(name, counts): (&String, &BTreeMap<String, u64>)| {
                counts.iter().all(|(subject, count)| after[name][subject] > *count)
            };
            if before.iter().all(grew) {
                break after;
            }
        }
    };
    let after = tokio::time::timeout(PATIENCE, grown).await.expect("every subject counts its request");
    let subjects: usize = after.values().map(BTreeMap::len).sum();
    assert_eq!(subjects, samples.len(), "every subject is shown once");

    let text = said(&stage, false).await;
    assert!(text.ends_with("\n14 services\n"), "{text}");
    for name in PROGRAMS {
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("{name} is not in\n{text}"));
        let requests: u64 = line.split_whitespace().rev().nth(2).unwrap().parse().unwrap();
        let counted: u64 = before[name].values().sum();
        assert!(requests >= counted + before[name].len() as u64, "{line}");
    }
    assert_no_restarts(&supervisor);
    supervisor.stop().await;
}
