//! Volumes: block volumes over the Block API, `l_ssd` and `scratch` over the Instance API, unknown kinds over both.

use super::lenient::Identified;
use super::server::{Listing, PAGE, Page, all_pages, confirms_not_found, total_header};
use super::sight::Side;
use super::{IOPS, Scaleway, block_path, instance_path, wire};
use crate::error::Error;
use crate::http::{Body, encode};
use crate::{Answer, Existence, GoneAnswer, NewVolume, VolumeRef};
use http::Method;
use inventiv_core::error::{Effect, ErrorKind};
use inventiv_core::observed::ObservedVolume;
use inventiv_core::size::round_up_to_gb;
use inventiv_core::status::VolumeKind;
use serde_json::{Value, json};

/// Which API owns a kind of volume.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Block,
    Instance,
    Unknown,
}

fn owner(volume: &VolumeRef) -> Owner {
    match volume.volume_type.kind {
        VolumeKind::Network => Owner::Block,
        VolumeKind::LocalDetachable | VolumeKind::LocalWithServer => Owner::Instance,
        VolumeKind::Unknown => Owner::Unknown,
    }
}

/// Refuses IOPS that Scaleway does not offer, before a call is sent.
pub(super) fn check_iops(iops: Option<i64>) -> Result<(), Error> {
    match iops {
        Some(n) if !IOPS.contains(&n) => {
            let text = format!("{n} IOPS are not offered: Scaleway has 5000 and 15000");
            Err(Error::new(ErrorKind::Refused, Effect::None, text))
        }
        _ => Ok(()),
    }
}

impl Scaleway {
    pub(super) async fn list_blocks(&self, zone: &str, name: Option<&str>) -> Result<Listing<ObservedVolume>, Error> {
        let filter = name.map_or_else(String::new, |n| format!("&name={}", encode(n)));
        let project = &self.account.project_id;
        let query =
            format!("project_id={project}&order_by=created_at_asc&include_deleted=false&page_size={PAGE}{filter}");
        all_pages(
            |v: &ObservedVolume| v.id.as_str(),
            |page| {
                let path = block_path(zone, &format!("volumes?{query}&page={page}"));
                async move {
                    let list: wire::BlockList = self.read(path).await?.decode()?;
                    Ok(Page { items: list.volumes.iter().map(wire::block).collect(), total: list.total_count })
                }
            },
        )
        .await
    }

    pub(super) async fn list_locals(&self, zone: &str) -> Result<Listing<ObservedVolume>, Error> {
        let query = format!("project={}&per_page={PAGE}", self.account.project_id);
        all_pages(
            |v: &ObservedVolume| v.id.as_str(),
            |page| {
                let path = instance_path(zone, &format!("volumes?{query}&page={page}"));
                async move {
                    let answer = self.read(path).await?;
                    let total = total_header(&answer)?;
                    let list: wire::LocalList = answer.decode()?;
                    Ok(Page { items: list.volumes.iter().map(wire::local).collect(), total })
                }
            },
        )
        .await
    }

    /// Reads one volume. Its absence counts only if the project is visible over each API that shows the absence.
    pub(super) async fn look_for_volume(
        &self,
        zone: &str,
        volume: &VolumeRef,
    ) -> Result<Existence<ObservedVolume>, Error> {
        match owner(volume) {
            // Credentials that could delete the volume could see it.
            Owner::Block if volume.deletion_accepted => self.get_block(zone, &volume.id).await,
            Owner::Block => self.seen_block(zone, &volume.id).await,
            Owner::Instance => self.seen_local(zone, &volume.id).await,
            Owner::Unknown => match self.seen_block(zone, &volume.id).await? {
                Existence::Exists(seen) => Ok(Existence::Exists(seen)),
                Existence::Gone(block) => Ok(match self.seen_local(zone, &volume.id).await? {
                    Existence::Exists(seen) => Existence::Exists(seen),
                    Existence::Gone(local) => Existence::Gone(GoneAnswer {
                        asked: format!("{} and {}", block.asked, local.asked),
                        answer: format!("{} and {}", block.answer, local.answer),
                        request_id: local.request_id,
                    }),
                }),
            },
        }
    }

    async fn seen_block(&self, zone: &str, id: &str) -> Result<Existence<ObservedVolume>, Error> {
        self.witnessed(zone, (Side::Block, id), || self.get_block(zone, id)).await
    }

    async fn seen_local(&self, zone: &str, id: &str) -> Result<Existence<ObservedVolume>, Error> {
        self.witnessed(zone, (Side::Instance, id), || self.get_local(zone, id)).await
    }

    /// Reads one volume, if it is shown.
    pub(super) async fn see_volume(&self, zone: &str, volume: &VolumeRef) -> Result<Option<ObservedVolume>, Error> {
        let kind = owner(volume);
        if kind != Owner::Instance
            && let Some(seen) = self.reported(zone, Side::Block, self.get_block(zone, &volume.id).await?)
        {
            return Ok(Some(seen));
        }
        if kind == Owner::Block {
            return Ok(None);
        }
        Ok(self.reported(zone, Side::Instance, self.get_local(zone, &volume.id).await?))
    }

    /// Why an empty list of block volumes is no evidence.
    pub(super) fn blocks_hidden(&self, zone: &str) -> String {
        format!(
            "blocked: credentials: no block volume of project {} is shown in {zone}, so it is unknown whether the \
             credentials can see block storage",
            self.account.project_id
        )
    }

    async fn get_block(&self, zone: &str, id: &str) -> Result<Existence<ObservedVolume>, Error> {
        let path = block_path(zone, &format!("volumes/{}", encode(id)));
        match self.read(path.clone()).await {
            Ok(answer) => Ok(Existence::Exists(wire::block(&answer.decode::<Identified>()?.0))),
            Err(e) => confirms_not_found(e, format!("GET {path}"), "volume", id).map(Existence::Gone),
        }
    }

    async fn get_local(&self, zone: &str, id: &str) -> Result<Existence<ObservedVolume>, Error> {
        let path = instance_path(zone, &format!("volumes/{}", encode(id)));
        match self.read(path.clone()).await {
            Ok(answer) => Ok(Existence::Exists(wire::local(&answer.decode::<wire::LocalEnvelope>()?.volume.0))),
            Err(e) => confirms_not_found(e, format!("GET {path}"), "instance_volume", id).map(Existence::Gone),
        }
    }

    pub(super) async fn post_volume(&self, zone: &str, new: &NewVolume) -> Result<Answer<ObservedVolume>, Error> {
        check_iops(new.perf_iops)?;
        let mut body = json!({
            "name": new.name, "project_id": self.account.project_id, "tags": new.tags,
            "from_empty": { "size": round_up_to_gb(new.size_bytes) },
        });
        if let (Some(iops), Some(object)) = (new.perf_iops, body.as_object_mut()) {
            object.insert("perf_iops".to_owned(), json!(iops));
        }
        let answer = self.create(block_path(zone, "volumes"), body).await?;
        let volume = wire::block(&answer.decode::<Identified>()?.0);
        Ok(Answer { value: volume, request_id: answer.request_id })
    }

    pub(super) async fn patch_volume(
        &self,
        zone: &str,
        volume: &VolumeRef,
        body: Value,
    ) -> Result<Answer<ObservedVolume>, Error> {
        if self.owner_of(zone, volume).await? == Owner::Block {
            let path = block_path(zone, &format!("volumes/{}", encode(&volume.id)));
            let answer = self.change(Method::PATCH, path, Body::Json(body)).await?;
            let seen = wire::block(&answer.decode::<Identified>()?.0);
            return Ok(Answer { value: seen, request_id: answer.request_id });
        }
        if body.get("perf_iops").is_some() {
            let text = format!("the IOPS of a {} volume cannot be set", volume.volume_type);
            return Err(Error::new(ErrorKind::Unsupported, Effect::None, text));
        }
        let path = instance_path(zone, &format!("volumes/{}", encode(&volume.id)));
        let answer = self.change(Method::PATCH, path, Body::Json(body)).await?;
        let seen = wire::local(&answer.decode::<wire::LocalEnvelope>()?.volume.0);
        Ok(Answer { value: seen, request_id: answer.request_id })
    }

    pub(super) async fn remove_volume(&self, zone: &str, volume: &VolumeRef) -> Result<Answer<()>, Error> {
        let rest = format!("volumes/{}", encode(&volume.id));
        let path = match self.owner_of(zone, volume).await? {
            Owner::Block => block_path(zone, &rest),
            Owner::Instance | Owner::Unknown => instance_path(zone, &rest),
        };
        let done = self.change(Method::DELETE, path, Body::None).await?;
        Ok(Answer { value: (), request_id: done.request_id })
    }

    /// The API that owns a volume; for an unknown kind, the one that shows it.
    async fn owner_of(&self, zone: &str, volume: &VolumeRef) -> Result<Owner, Error> {
        match owner(volume) {
            Owner::Unknown => match self.get_block(zone, &volume.id).await? {
                Existence::Exists(_) => Ok(Owner::Block),
                Existence::Gone(_) => Ok(Owner::Instance),
            },
            known @ (Owner::Block | Owner::Instance) => Ok(known),
        }
    }
}
