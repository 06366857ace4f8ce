//! One good request for every subject that the services answer, and the subjects they say they answer.

use std::collections::BTreeSet;

use contracts::{Incoming, catalogue};
pub(crate) use sandbox::samples::Sample;
use sandbox::{Sandbox, SandboxOptions};
use serde_json::Value;

use crate::stage::Stage;

/// Good requests about an edge of the stage that has no ticket yet, and gets one for it.
pub(crate) fn samples(stage: &Stage) -> Vec<Sample> {
    sandbox::samples::samples(&stage.sandbox).unwrap()
}

/// The subjects that are served now, as the services themselves say it (`$SRV.INFO`).
pub(crate) async fn served(client: &async_nats::Client, services: usize) -> BTreeSet<String> {
    use futures::StreamExt as _;
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.unwrap();
    client.publish_with_reply("$SRV.INFO", inbox, "".into()).await.unwrap();
    let mut subjects = BTreeSet::new();
    for _ in 0..services {
        let answer = tokio::time::timeout(crate::stage::PATIENCE, answers.next()).await.unwrap().unwrap();
        let info: Value = serde_json::from_slice(&answer.payload).unwrap();
        let endpoints = info["endpoints"].as_array().unwrap().clone();
        subjects.extend(endpoints.iter().map(|endpoint| endpoint["subject"].as_str().unwrap().to_owned()));
    }
    subjects
}

#[tokio::test]
async fn every_subject_has_a_good_request_which_its_contract_takes() {
    let options = SandboxOptions { edges: 40, ..SandboxOptions::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    let samples = sandbox::samples::samples(&sandbox).unwrap();
    let mut subjects: Vec<&str> = samples.iter().map(|sample| sample.subject).collect();
    subjects.sort_unstable();
    let declared: Vec<&str> = catalogue::all().iter().map(|entry| entry.subject).collect();
    assert_eq!(subjects, declared, "one good request for every subject");
    for sample in samples {
        let envelope = sample.envelope.to_string();
        let incoming = Incoming::read(&envelope).unwrap();
        let taken = catalogue::find(sample.subject).unwrap().check(&incoming);
        assert_eq!(taken, Ok(()), "{}", sample.subject);
    }
}
