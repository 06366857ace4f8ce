//! Did you mean ...?

/// Names that are less alike than this are not what was meant.
const ALIKE: f64 = 0.8;

/// The name that is most alike to one that is wrong.
pub(crate) fn to<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let alike = names.into_iter().map(|name| (strsim::jaro_winkler(wrong, name), name));
    alike
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|one, two| one.0.total_cmp(&two.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::to;

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        let names = ["bruin.ticket.details.request", "bruin.ticket.request", "digi.reboot"];
        assert_eq!(to("bruin.ticket.detail.request", names), Some("bruin.ticket.details.request"));
        assert_eq!(to("digi.rebot", names), Some("digi.reboot"));
        assert_eq!(to("weather", names), None);
    }
}
