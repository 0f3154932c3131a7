//! The queue: it wakes workers and spreads work, and is never the truth.
//!
//! One port ([`Queue`]), two adapters: AMQP for a fleet, in-process for one machine. A message lost, doubled, late or
//! reordered changes nothing, because every job is a row before it is a message; so the port promises delivery at
//! least once and nothing about order. What a job is and who may run it is left to `jobs` and `store`.

pub mod amqp;
pub mod inproc;
pub mod port;
pub mod wire;

pub use amqp::{Amqp, AmqpSettings, QueueFacts};
pub use inproc::InProcess;
pub use port::{
    Ack, Announced, DeadLetter, Delivery, EventMessage, Health, Queue, QueueError, RequestDelivery,
};
pub use wire::{
    ID_CHARACTERS_MAX, JOB_BYTES_MAX, JobMessage, ORG_CHARACTERS_MAX, REASON_CHARACTERS_MAX,
    REQUEST_BYTES_MAX, REQUEST_HEADERS_MAX, RequestError, RequestMessage, WireError,
};
