//! The contracts of the models' entrypoints, compiled from `proto/` when this crate is built.

use prost_reflect::{DescriptorPool, MethodDescriptor, ServiceDescriptor};
use thiserror::Error;

/// The contract of one model. All of them declare the same service name, each with other methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Contract {
    /// Next best actions for the assets of a ticket (spec `t7-bridge`).
    T7,
    /// Tags of e-mails (spec `email-tagger-kre-bridge`).
    EmailTagger,
    /// What e-mails ask for (spec `repair-tickets-kre-bridge`).
    RepairTickets,
}

/// The full name of the service in each contract.
pub(crate) const SERVICE: &str = "entrypoint.Entrypoint";

/// A compiled contract that cannot be read, or a method it does not have: a fault of the build.
#[derive(Debug, Clone, Error)]
#[error("the contract of {contract} cannot be used: {reason}")]
pub struct UnusableContract {
    contract: &'static str,
    reason: String,
}

impl Contract {
    /// Every contract.
    pub const ALL: [Self; 3] = [Self::T7, Self::EmailTagger, Self::RepairTickets];

    /// The model's name in metrics and messages, e.g. `email-tagger`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::T7 => "t7",
            Self::EmailTagger => "email-tagger",
            Self::RepairTickets => "repair-tickets",
        }
    }

    /// The service that the model's entrypoint answers.
    ///
    /// # Errors
    /// When what was compiled in cannot be read.
    pub fn service(self) -> Result<ServiceDescriptor, UnusableContract> {
        let compiled: &[u8] = match self {
            Self::T7 => include_bytes!(concat!(env!("OUT_DIR"), "/t7.bin")),
            Self::EmailTagger => include_bytes!(concat!(env!("OUT_DIR"), "/email_tagger.bin")),
            Self::RepairTickets => include_bytes!(concat!(env!("OUT_DIR"), "/repair_tickets.bin")),
        };
        let pool = DescriptorPool::decode(compiled).map_err(|error| self.unusable(error.to_string()))?;
        pool.get_service_by_name(SERVICE).ok_or_else(|| self.unusable(format!("no service {SERVICE}")))
    }

    /// A method of the service.
    ///
    /// # Errors
    /// When there is none of that name.
    pub(crate) fn method(
        self,
        service: &ServiceDescriptor,
        name: &str,
    ) -> Result<MethodDescriptor, UnusableContract> {
        let mut methods = service.methods();
        methods.find(|method| method.name() == name).ok_or_else(|| self.unusable(format!("no method {name}")))
    }

    pub(crate) fn unusable(self, reason: String) -> UnusableContract {
        UnusableContract { contract: self.name(), reason }
    }
}

#[cfg(test)]
mod tests {
    use prost_reflect::{Kind, MessageDescriptor};

    use super::*;

    fn methods(contract: Contract) -> Vec<String> {
        contract.service().unwrap().methods().map(|method| method.name().to_owned()).collect()
    }

    #[test]
    fn every_contract_has_the_methods_of_its_specification() {
        assert_eq!(methods(Contract::T7), ["Prediction", "SaveMetrics", "SaveLiveMetrics"]);
        assert_eq!(methods(Contract::EmailTagger), ["GetPrediction", "SaveMetrics"]);
        assert_eq!(
            methods(Contract::RepairTickets),
            ["GetPrediction", "SaveOutputs", "SaveCreatedTicketsFeedback", "SaveClosedTicketsFeedback"]
        );
        let service = Contract::T7.service().unwrap();
        let missing = Contract::T7.method(&service, "GetPrediction").unwrap_err();
        assert_eq!(missing.to_string(), "the contract of t7 cannot be used: no method GetPrediction");
    }

    /// The kinds which the JSON mapping speaks. A new one must be added there first.
    #[test]
    fn every_field_is_of_a_kind_that_is_mapped() {
        for contract in Contract::ALL {
            for message in contract.service().unwrap().parent_pool().all_messages() {
                for field in message.fields() {
                    let kind = field.kind();
                    let mapped = matches!(
                        kind,
                        Kind::Bool
                            | Kind::Int32
                            | Kind::Int64
                            | Kind::Float
                            | Kind::String
                            | Kind::Message(_)
                    );
                    assert!(mapped, "{} is {kind:?}", field.full_name());
                    assert_eq!(
                        field.is_map(),
                        kind.as_message().is_some_and(MessageDescriptor::is_map_entry)
                    );
                }
            }
        }
    }

    #[test]
    fn numbers_are_those_of_the_specifications() {
        for (contract, message, field, number) in [
            (Contract::T7, "TicketRow", "initial_note_ticket_creation", 13),
            (Contract::T7, "TicketRow", "sla", 23),
            (Contract::T7, "AssetPrediction", "error", 3),
            (Contract::T7, "SaveLiveMetricsRequest", "automated_successfully", 3),
            (Contract::EmailTagger, "Email", "client_id", 7),
            (Contract::EmailTagger, "PredictionResponse.Prediction", "probability", 2),
            (Contract::EmailTagger, "SaveMetricsRequest.Ticket", "creation_date", 4),
            (Contract::RepairTickets, "Email", "tag", 10),
            (Contract::RepairTickets, "Email", "auto_reply_answer_delay", 12),
            (Contract::RepairTickets, "SaveOutputsRequest", "tickets_cannot_be_created", 9),
            (Contract::RepairTickets, "SaveOutputsRequest", "validated_tickets", 14),
            (Contract::RepairTickets, "PredictionResponse", "potential_ticket_numbers", 4),
            (Contract::RepairTickets, "PrepareOutputFields", "validation_set_probability", 10),
        ] {
            let service = contract.service().unwrap();
            let found = service.parent_pool().get_message_by_name(&format!("entrypoint.{message}")).unwrap();
            assert_eq!(found.get_field_by_name(field).unwrap().number(), number, "{message}.{field}");
        }
    }
}
