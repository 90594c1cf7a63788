//! The protocol between a control plane and the workers on its servers.
//!
//! The control plane connects to a worker, never the other way round. Both sides show a certificate of the control
//! plane's private authority ([`tls`]): the worker's carries the id of its instance as its name, so that a machine that
//! got the address of another one fails the handshake. [`client`] makes the calls; [`driven`] carries requests for the model; [`bootstrap`] is what a new server
//! gets as user data, until the control plane has sent it the worker's program.

pub mod bootstrap;
pub mod client;
pub mod driven;
pub mod message;
pub mod tcp;
pub mod tls;
