//! Good requests to the notifier.

use serde_json::{Value, json};

use super::Sample;
use crate::environment::{INBOX_ACCOUNT, REPORT_RECIPIENT};

/// Those with a body.
pub(super) fn with_body() -> Vec<(&'static str, Value)> {
    vec![
        ("get.email.request", json!({"email_account": INBOX_ACCOUNT, "email_filter": ["ann@example.com"]})),
        ("mark.email.read.request", json!({"msg_uid": "1", "email_account": INBOX_ACCOUNT})),
        ("notification.sms.request", json!({"sms_to": "15550101234", "sms_data": "hello"})),
    ]
}

/// Those whose parameters are beside the request's id.
pub(super) fn top_level() -> [Sample; 2] {
    let email = json!({"recipient": REPORT_RECIPIENT, "subject": "hello", "html": "<p>hello</p>", "text": "hello",
        "images": [], "attachments": [{"name": "a.csv", "data": "YSxi"}]});
    [
        Sample {
            subject: "notification.slack.request",
            envelope: json!({"request_id": "r-1", "message": "hello"}),
        },
        Sample {
            subject: "notification.email.request",
            envelope: json!({"request_id": "r-1", "email_data": email}),
        },
    ]
}
