//! How a module declares its subjects.

/// Declares subjects of the queue group `QUEUE`, which must be in scope: a type that implements [`Rpc`](crate::Rpc), the
/// subject, its effect, how long requesters wait and within which time the replier answers (both in seconds), what travels,
/// and where they differ from the usual the refusal of what is no JSON object, and the carrier:
///
/// ```text
/// subjects! {
///     /// What it is for.
///     Reboot: "digi.reboot", Write, wait 90, answer 85, RebootRequest => Vec<Value>, malformed NO_BODY;
/// }
/// ```
macro_rules! subjects {
    ($($(#[$doc:meta])+ $name:ident: $subject:literal, $effect:ident, wait $wait:literal, answer $answer:literal,
        $request:ty => $reply:ty $(, malformed $malformed:expr)? $(, carrier $carrier:ident)?;)+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl crate::Rpc for $name {
            const SUBJECT: &'static str = $subject;
            const QUEUE: &'static str = QUEUE;
            const EFFECT: crate::Effect = crate::Effect::$effect;
            const TIMEOUT: std::time::Duration = std::time::Duration::from_secs($wait);
            const ANSWER_WITHIN: std::time::Duration = std::time::Duration::from_secs($answer);
            $(const MALFORMED: &'static str = $malformed;)?
            $(const CARRIER: crate::Carrier = crate::Carrier::$carrier;)?
            type Request = $request;
            type Reply = $reply;
        }
    )+};
}
pub(crate) use subjects;
