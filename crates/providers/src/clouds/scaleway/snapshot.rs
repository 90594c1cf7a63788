//! Snapshots of both APIs, and the images that use them.

use super::lenient::{self, Field};
use super::server::{Listing, PAGE, Page, all_pages, total_header};
use super::{Scaleway, block_path, instance_path};
use crate::error::Error;
use inventiv_core::snapshots::{ObservedSnapshot, Snapshot, SnapshotKind};
use inventiv_core::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
struct LocalList {
    snapshots: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct BlockList {
    snapshots: Vec<Value>,
    total_count: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Row {
    name: Field<String>,
    size: Field<i64>,
    /// Local.
    base_volume: Field<Named>,
    creation_date: Field<String>,
    /// Block.
    parent_volume: Field<Named>,
    created_at: Field<String>,
}

#[derive(Debug, Deserialize)]
struct Named {
    id: String,
}

#[derive(Debug, Deserialize)]
struct ImageList {
    images: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Image {
    name: Field<String>,
    root_volume: Field<Named>,
    extra_volumes: Field<BTreeMap<String, Named>>,
}

fn snapshot(value: &Value, kind: SnapshotKind) -> ObservedSnapshot {
    let read: Row = lenient::row(value).unwrap_or_default();
    let volume = read.base_volume.known().or(read.parent_volume.known());
    let created = read.creation_date.known().or(read.created_at.known());
    ObservedSnapshot {
        snapshot: Snapshot {
            id: lenient::id_of(value),
            name: read.name.known().unwrap_or_default(),
            kind,
            size_bytes: read.size.known(),
            created_at: created.as_deref().and_then(Timestamp::parse),
            missing_since: None,
        },
        volume_id: volume.map(|v| v.id),
    }
}

impl Scaleway {
    pub(super) async fn list_snapshots(&self, zone: &str, kind: SnapshotKind) -> Result<Vec<ObservedSnapshot>, Error> {
        let project = &self.account.project_id;
        let listing: Listing<ObservedSnapshot> = all_pages(
            |s: &ObservedSnapshot| s.snapshot.id.as_str(),
            |page| async move {
                match kind {
                    SnapshotKind::Local => {
                        let query = format!("snapshots?project={project}&per_page={PAGE}&page={page}");
                        let answer = self.read(instance_path(zone, &query)).await?;
                        let total = total_header(&answer)?;
                        let list: LocalList = answer.decode()?;
                        Ok(Page { items: list.snapshots.iter().map(|v| snapshot(v, kind)).collect(), total })
                    }
                    SnapshotKind::Block => {
                        let query = format!("snapshots?project_id={project}&page_size={PAGE}&page={page}");
                        let list: BlockList = self.read(block_path(zone, &query)).await?.decode()?;
                        let total = list.total_count;
                        Ok(Page { items: list.snapshots.iter().map(|v| snapshot(v, kind)).collect(), total })
                    }
                }
            },
        )
        .await?;
        listing.whole("snapshots")
    }

    /// The names of the project's own images, by the id of each snapshot that they use.
    pub(super) async fn list_image_names(&self, zone: &str) -> Result<BTreeMap<String, Vec<String>>, Error> {
        let project = &self.account.project_id;
        let listing: Listing<Value> = all_pages(
            |i: &Value| i["id"].as_str().unwrap_or_default(),
            |page| async move {
                let query = format!("images?project={project}&public=false&per_page={PAGE}&page={page}");
                let answer = self.read(instance_path(zone, &query)).await?;
                let total = total_header(&answer)?;
                Ok(Page { items: answer.decode::<ImageList>()?.images, total })
            },
        )
        .await?;
        let mut names = BTreeMap::<String, Vec<String>>::new();
        for value in listing.whole("images")? {
            let read: Image = lenient::row(&value).unwrap_or_default();
            let name = read.name.known().unwrap_or_else(|| lenient::id_of(&value));
            let extra = read.extra_volumes.known().unwrap_or_default().into_values();
            for of in read.root_volume.known().into_iter().chain(extra) {
                names.entry(of.id).or_default().push(name.clone());
            }
        }
        Ok(names)
    }
}
