//! The services of the fleet.

use runtime::{Environment, Runnable};

use crate::supervisor::Instance;

/// Every service but the sandbox, in the order in which people think of them: bridges, caches, monitors.
pub fn all() -> Vec<Runnable> {
    vec![
        bruin_bridge::service(),
        velocloud_bridge::service(),
        digi_bridge::service(),
        hawkeye_bridge::service(),
        t7_bridge::service(),
        email_tagger_kre_bridge::service(),
        repair_tickets_kre_bridge::service(),
        dri_bridge::service(),
        cts_bridge::service(),
        lit_bridge::service(),
        notifier::service(),
        customer_cache::service(),
        hawkeye_customer_cache::service(),
        service_outage_monitor::service(),
        service_outage_monitor::service().called(
            "service-outage-monitor-triage",
            "The outage monitor in triage mode: keeps the open outage tickets informative",
        ),
    ]
}

/// Names that are no service.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no such service: {}; there are {}", .unknown.join(", "), .known.join(", "))]
pub struct Unknown {
    unknown: Vec<String>,
    known: Vec<&'static str>,
}

/// The services with these names, in catalogue order; all when none is named.
///
/// # Errors
/// Names the names that are no service.
pub fn chosen(names: &[String]) -> Result<Vec<Runnable>, Unknown> {
    let all = all();
    let known: Vec<&'static str> = all.iter().map(Runnable::name).collect();
    let unknown: Vec<String> = names.iter().filter(|name| !known.contains(&name.as_str())).cloned().collect();
    if !unknown.is_empty() {
        return Err(Unknown { unknown, known });
    }
    Ok(all
        .into_iter()
        .filter(|service| names.is_empty() || names.iter().any(|name| name == service.name()))
        .collect())
}

/// The instances of a service: one, except for the outage monitor, of which every VeloCloud host has its own.
/// `environment` gives the service's environment; `hosts` are the hosts to monitor (none: as configured).
pub fn instances(service: &Runnable, environment: &Environment, hosts: &[String]) -> Vec<Instance> {
    const HOST: &str = "MONITORING__VELOCLOUD_HOST";
    let instance =
        |label: String, environment: Environment| Instance { label, runnable: service.clone(), environment };
    if service.name() != "service-outage-monitor" || hosts.is_empty() {
        return vec![instance(service.name().to_owned(), environment.clone())];
    }
    hosts
        .iter()
        .map(|host| {
            instance(format!("{} {host}", service.name()), environment.clone().with(HOST, host.as_str()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_chosen_by_name() {
        let names = |chosen: Vec<Runnable>| chosen.iter().map(Runnable::name).collect::<Vec<_>>();
        let some = ["notifier".to_owned(), "bruin-bridge".to_owned()];
        assert_eq!(names(chosen(&some).unwrap()), ["bruin-bridge", "notifier"]);
        assert_eq!(names(chosen(&[]).unwrap()).len(), all().len());
        let error = chosen(&["bruin".to_owned()]).map(|_| ()).unwrap_err();
        assert!(error.to_string().starts_with("no such service: bruin; there are bruin-bridge, "), "{error}");
    }

    #[test]
    fn triage_is_one_process_for_all_hosts() {
        let service = chosen(&["service-outage-monitor-triage".to_owned()]).unwrap().remove(0);
        let hosts = ["a".to_owned(), "b".to_owned()];
        let instances = instances(&service, &Environment::default(), &hosts);
        let labels: Vec<_> = instances.iter().map(|instance| instance.label.as_str()).collect();
        assert_eq!(labels, ["service-outage-monitor-triage"]);
    }

    #[test]
    fn every_host_has_its_own_outage_monitor() {
        let service = chosen(&["service-outage-monitor".to_owned()]).unwrap().remove(0);
        let hosts = ["a".to_owned(), "b".to_owned()];
        let instances = instances(&service, &Environment::default(), &hosts);
        let hosts: Vec<_> =
            instances.iter().map(|i| i.environment.get("MONITORING__VELOCLOUD_HOST")).collect();
        assert_eq!(hosts, [Some("a"), Some("b")]);
    }
}
