//! What a model, a network and requesters do to the service, over real sockets.

#[allow(dead_code, reason = "the constants serve the other test file")]
mod bridge;

model_bridges::tests!(bridge::EmailTagger);
