//! What a model, a network and requesters do to the service, over real sockets.

use crate::bridge;

model_bridges::tests!(bridge::EmailTagger);
