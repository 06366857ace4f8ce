//! What the shared tests have to know of this bridge.

use contracts::repair_tickets::{NO_BODY, NO_EMAIL, NO_TICKET};
use model_bridges::{Ask, Bridge, Outcome, object};
use runtime::Runnable;
use sandbox::ThirdParty;
use serde_json::{Map, Value, json};

pub(crate) const PREDICTION: &str = "rta.prediction.request";
pub(crate) const OUTPUTS: &str = "rta.save_outputs.request";
pub(crate) const CREATED: &str = "rta.created_ticket_feedback.request";
pub(crate) const CLOSED: &str = "rta.closed_ticket_feedback.request";

/// The bridge and its model.
pub(crate) struct RepairTickets;

impl Bridge for RepairTickets {
    const MODEL: ThirdParty = ThirdParty::RepairTickets;
    const LABEL: &'static str = "repair-tickets";

    fn service() -> Runnable {
        repair_tickets_kre_bridge::service()
    }

    fn question() -> Ask {
        let body = json!({"email_id": "73111", "subject": "Router down"});
        Ask { subject: PREDICTION, rpc: "GetPrediction", body, refusal: NO_EMAIL }
    }

    fn outcomes() -> Vec<Outcome> {
        let outputs = json!({"email_id": "73111", "validated_service_numbers": ["VC1234567"]});
        let ticket = json!({"ticket_id": "5550001"});
        let success = json!({"success": true});
        [
            (OUTPUTS, "SaveOutputs", outputs, NO_BODY),
            (CREATED, "SaveCreatedTicketsFeedback", ticket.clone(), NO_TICKET),
            (CLOSED, "SaveClosedTicketsFeedback", ticket, NO_TICKET),
        ]
        .map(|(subject, rpc, body, refusal)| Outcome {
            ask: Ask { subject, rpc, body, refusal },
            saved: success.clone(),
            dry_run: success.clone(),
        })
        .into()
    }

    fn misfit() -> (Value, &'static str) {
        (json!({"email": "x"}), "Error: SaveOutputsRequest has no field named email")
    }

    fn question_with(text: &str) -> Value {
        json!({"email_id": "73111", "subject": "Router down", "body": text})
    }

    fn long_answer() -> Map<String, Value> {
        let serials: Vec<Value> = (0..100_000).map(|number| json!(format!("VC{number:07}"))).collect();
        object(json!({"predicted_class": "VOO", "potential_service_numbers": serials}))
    }

    fn check_long_reply(reply: &Value) {
        let serials = &reply["potential_service_numbers"];
        assert_eq!(
            (serials.as_array().map(Vec::len), &serials[99_999]),
            (Some(100_000), &json!("VC0099999"))
        );
    }
}
