//! What is missing, wrong, full or dead: one clear error that names what to do, and nothing accepted is lost.

mod bridges;
mod dependencies;
mod outage;
mod third_parties;
