//! What one reader looks at. It stands in the address, so it can be linked and reloaded, and works without script.

use serde::Deserialize;

/// [`View::show`] of the probes, models, devices at DRI and dispatches.
const CAPABILITIES: &str = "capabilities";

/// What is searched for, unfolded and opened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct View {
    /// Which half of the page: empty is the network with its tickets.
    pub(super) show: String,
    /// Part of a serial, a name or a customer.
    pub(super) search: String,
    /// The device shown.
    pub(super) device: String,
    /// Unfolded customers: their numbers with dots between.
    pub(super) open: String,
    /// The ticket whose notes are shown.
    pub(super) ticket: String,
    /// The mail that is shown.
    pub(super) mail: String,
    /// The probe whose tests are shown, by its id.
    pub(super) probe: String,
    /// The dispatch whose fields are shown, by its number.
    pub(super) dispatch: String,
    /// The trace that is shown, 32 hexadecimal digits.
    pub(super) trace: String,
    /// The span in it with which the view begins; empty: the whole trace.
    pub(super) span: String,
}

impl View {
    /// Probes, models, devices at DRI and dispatches.
    pub(super) fn capabilities() -> Self {
        Self { show: CAPABILITIES.to_owned(), ..Self::default() }
    }

    /// Whether these are shown instead of the network.
    pub(super) fn is_capabilities(&self) -> bool {
        self.show == CAPABILITIES
    }

    /// Whether a customer is unfolded.
    pub(super) fn is_open(&self, customer: usize) -> bool {
        self.open.split('.').any(|open| open.parse() == Ok(customer))
    }

    /// The same with another device.
    pub(super) fn device(&self, serial: &str) -> Self {
        let (trace, span) = (String::new(), String::new());
        Self { device: serial.to_owned(), trace, span, ..self.clone() }
    }

    /// The same with a customer unfolded or folded.
    pub(super) fn toggled(&self, customer: usize) -> Self {
        let others = self.open.split('.').filter(|open| !open.is_empty() && open.parse() != Ok(customer));
        let mut open: Vec<String> = others.map(str::to_owned).collect();
        if !self.is_open(customer) {
            open.push(customer.to_string());
        }
        Self { open: open.join("."), ..self.clone() }
    }

    /// The same with this ticket opened, or closed when it is.
    pub(super) fn ticket(&self, id: i64) -> Self {
        let id = id.to_string();
        let ticket = if self.ticket == id { String::new() } else { id };
        Self { ticket, ..self.clone() }
    }

    /// The same with this mail opened, or closed when it is.
    pub(super) fn mail(&self, number: u64) -> Self {
        let number = number.to_string();
        let mail = if self.mail == number { String::new() } else { number };
        Self { mail, ..self.clone() }
    }

    /// The same with this probe opened, or closed when it is.
    pub(super) fn probe(&self, id: i64) -> Self {
        let id = id.to_string();
        let probe = if self.probe == id { String::new() } else { id };
        Self { probe, ..self.clone() }
    }

    /// The same with this dispatch opened, or closed when it is.
    pub(super) fn dispatch(&self, number: &str) -> Self {
        let dispatch = if self.dispatch == number { String::new() } else { number.to_owned() };
        Self { dispatch, ..self.clone() }
    }

    /// The same with a trace.
    pub(super) fn trace(&self, trace: &str, span: &str) -> Self {
        Self { trace: trace.to_owned(), span: span.to_owned(), ..self.clone() }
    }

    /// The address; `part` is the element to go to.
    pub(super) fn address(&self, part: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("show", &self.show),
            ("search", &self.search),
            ("device", &self.device),
            ("open", &self.open),
            ("ticket", &self.ticket),
            ("mail", &self.mail),
            ("probe", &self.probe),
            ("dispatch", &self.dispatch),
            ("trace", &self.trace),
            ("span", &self.span),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        let mark = if query.is_empty() { "" } else { "?" };
        let part = if part.is_empty() { String::new() } else { format!("#{part}") };
        format!("/{mark}{query}{part}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_is_unfolded_and_folded_again() {
        let view = View { device: "VC1".into(), ..View::default() };
        let both = view.toggled(3).toggled(12);
        assert!(both.is_open(3) && both.is_open(12) && !both.is_open(1));
        assert_eq!(both.address("network"), "/?device=VC1&open=3.12#network");
        assert_eq!(both.toggled(3).toggled(12), view);
    }

    #[test]
    fn probes_and_dispatches_are_opened_beside_each_other() {
        let view = View::capabilities().probe(3).dispatch("S-100001");
        assert_eq!(view.address("cts"), "/?show=capabilities&probe=3&dispatch=S-100001#cts");
        assert_eq!(view.probe(3).dispatch("S-100001"), View::capabilities());
        assert!(view.is_capabilities() && !View::default().is_capabilities());
    }

    #[test]
    fn another_device_closes_the_trace() {
        let view = View::default().trace("abc", "12").ticket(5);
        assert_eq!(view.address(""), "/?ticket=5&trace=abc&span=12");
        assert_eq!(view.device("VC 2").address("device"), "/?device=VC+2&ticket=5#device");
        assert_eq!(view.ticket(5).trace("", "").address(""), "/");
    }
}
