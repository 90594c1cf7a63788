//! `inventiv volume`

use crate::args::{Connection, Output, VolumeCommand};
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::output::{self, Columns, opt, text};
use inventiv_types::{ChangeVolume, ListVolumes, OwnedVolume};

const COLUMNS: Columns<OwnedVolume> = Columns {
    name: |v| v.storage.id.clone(),
    narrow: &[
        ("id", |v| text(&v.storage.id)),
        ("GB", |v| opt(v.storage.size_gb)),
        ("type", |v| text(&v.storage.volume_type)),
        ("status", |v| text(v.storage.status)),
        ("at the end", |v| output::at_the_end(&v.storage).to_owned()),
        ("age", |v| output::age(v.storage.created_at)),
    ],
    wide: &[
        ("zone", |v| text(&v.zone)),
        ("instance", |v| text(&v.instance_id)),
        ("origin", |v| text(v.storage.origin)),
        ("reused by", |v| opt(v.storage.reused_by.as_ref())),
        ("in the cloud", |v| opt(v.storage.provider_volume_id.as_ref())),
    ],
};

pub(crate) async fn run(command: VolumeCommand, connection: &Connection, output: Output) -> Result<(), Failure> {
    let client = Client::connect(connection)?;
    let path = |id: &str| format!("/volumes/{}", encode(id));
    let change = |delete_on_terminate| ChangeVolume { delete_on_terminate };
    let volume: OwnedVolume = match command {
        VolumeCommand::List { account, status, instance } => {
            let (instance_id, account) = (instance, account.name());
            let query = ListVolumes { status, instance_id, account, ..ListVolumes::default() };
            let items: Vec<OwnedVolume> = client.all("/volumes", &query).await?;
            output::list(output, &items, &COLUMNS);
            return Ok(());
        }
        VolumeCommand::Show { id } => client.get(&path(&id), &()).await?,
        VolumeCommand::Retain { id } => client.patch(&path(&id), &change(false)).await?,
        VolumeCommand::Release { id } => client.patch(&path(&id), &change(true)).await?,
    };
    output::one(output, &volume, |v| v.storage.id.clone(), lines);
    Ok(())
}

fn lines(owned: &OwnedVolume) -> String {
    let v = &owned.storage;
    let mut lines = vec![
        format!("{}  {}  {} GB {} in {}", v.id, v.status, opt(v.size_gb), text(&v.volume_type), text(&owned.zone)),
        format!(
            "  instance {}  origin {}  delete_on_terminate={}{}",
            owned.instance_id,
            v.origin,
            v.delete_on_terminate,
            if v.policy_written { "" } else { " (not yet written to the cloud)" }
        ),
        format!("  in the cloud: {} ({})", opt(v.provider_volume_id.as_ref()), text(&v.name)),
    ];
    lines.extend(v.reused_from.as_ref().map(|from| format!("  retained from instance {}", text(from))));
    lines.extend(v.reused_by.as_ref().map(|by| {
        let by = text(by);
        format!("  given to instance {by}, where it has another id: `inventiv volume list --instance {by}`")
    }));
    lines.extend(
        v.proof.as_ref().map(|proof| {
            format!("  proven gone: {} at {}: {}", text(&proof.asked), proof.asked_at, text(&proof.answer))
        }),
    );
    lines.extend(v.error.as_ref().map(|error| format!("  error: {}", text(error))));
    lines.join("\n")
}
