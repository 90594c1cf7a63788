//! What is written when an instance changes.

use crate::args::Statement;
use crate::logs::LogWrite;
use crate::{changes, charges, instance_rows, logs, names, server_rows, volume_rows};
use inventiv_core::recorded::Aggregate;
use inventiv_core::time::Timestamp;

/// An instance that gives a volume away, as it was read and with the change.
#[derive(Debug, Clone, Copy)]
pub struct Giver<'a> {
    /// As it was read: the write is guarded by its version.
    pub before: &'a Aggregate,
    /// With the change.
    pub after: &'a Aggregate,
}

/// The statements that write the difference between two states of an instance, guarded by the version of the first.
pub(crate) fn difference(before: &Aggregate, after: &Aggregate, writes: &[LogWrite], now: Timestamp) -> Vec<Statement> {
    let version = before.instance.version;
    let mut statements = vec![instance_rows::update(after, version)];
    let owner = &after.instance;
    for s in &after.servers {
        match before.server_by_id(&s.id) {
            None => statements.push(server_rows::insert(owner, s)),
            Some(old) if old != s => statements.push(server_rows::update(s)),
            Some(_) => {}
        }
    }
    for v in &after.volumes {
        match before.volume(&v.id) {
            None => statements.push(volume_rows::insert(owner, v)),
            Some(old) if old != v => statements.push(volume_rows::update(v)),
            Some(_) => {}
        }
    }
    statements.extend(charges::difference(Some(before), after, now));
    if before.instance.status != owner.status {
        statements.push(logs::history(owner, Some(before.instance.status), version + 1, now));
    }
    if owner.status.is_final() && !before.instance.status.is_final() {
        statements.push(names::free(&owner.id));
    } else if owner.name != before.instance.name {
        statements.extend([names::free(&owner.id), names::take(owner, true)]);
    }
    if changes::shows_a_change(before, after) {
        statements.push(changes::mark(&owner.id));
    }
    statements.extend(writes.iter().map(logs::statement));
    statements
}
