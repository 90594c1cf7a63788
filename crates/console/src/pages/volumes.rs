//! Volumes: those that were retained first, with what they cost; keep and release.

use crate::backend::segment;
use crate::page::{Answer, Failure, Frame, Section, Viewer, filled, go_to, page, refused};
use crate::texts::EN;
use askama::Template;
use axum::extract::{Form, Path};
use http::{Method, StatusCode};
use inventiv_types::{ChangeVolume, ChargeClass, CostForecast, ListVolumes, OwnedVolume, Page, VolumeStatus};
use serde::Deserialize;

/// How many volumes in each status are shown.
const SHOWN: u32 = 200;

#[derive(Template)]
#[template(path = "volumes.html")]
struct Volumes {
    frame: Frame,
    retained: Vec<OwnedVolume>,
    living: Vec<OwnedVolume>,
    /// Whether there are volumes that the page does not show.
    has_more: bool,
    /// What retained volumes cost per hour, by currency.
    rates: Vec<(i64, String)>,
}

/// The list.
pub(crate) async fn list(viewer: Viewer) -> Answer {
    let of = |status: VolumeStatus| {
        let status = Some(status.text().to_owned());
        ListVolumes { status, limit: Some(SHOWN), ..ListVolumes::default() }
    };
    let first: Page<OwnedVolume> = viewer.api.get("/volumes", &of(VolumeStatus::Retained)).await?;
    let (retained, mut has_more) = (first.items, first.next.is_some());
    let mut living: Vec<OwnedVolume> = Vec::new();
    for status in VolumeStatus::ALL.iter().filter(|s| s.counts()) {
        let first: Page<OwnedVolume> = viewer.api.get("/volumes", &of(*status)).await?;
        living.extend(first.items);
        has_more |= first.next.is_some();
    }
    let costs: CostForecast = viewer.api.get("/costs/forecast", &()).await?;
    let rate = |c: &inventiv_types::CurrencyForecast| {
        let retained = c.rates.iter().filter(|r| r.class == ChargeClass::Retained);
        (retained.map(|r| r.hourly_micros).fold(0_i64, i64::saturating_add), c.currency.clone())
    };
    page(&Volumes {
        frame: viewer.frame(Section::Volumes, EN.volumes),
        retained,
        living,
        has_more,
        rates: costs.currencies.iter().map(rate).collect(),
    })
}

#[derive(Template)]
#[template(path = "volume.html")]
struct VolumePage {
    frame: Frame,
    v: OwnedVolume,
    /// The version that is shown.
    tag: String,
}

impl VolumePage {
    fn is_retained(&self) -> bool {
        self.v.storage.status == VolumeStatus::Retained
    }

    fn is_in_use(&self) -> bool {
        self.v.storage.status.counts()
    }
}

async fn read(viewer: &Viewer, id: &str) -> Result<VolumePage, Failure> {
    let (v, tag): (OwnedVolume, String) = viewer.api.tagged(&format!("/volumes/{}", segment(id))).await?;
    Ok(VolumePage { frame: viewer.frame(Section::Volumes, v.storage.name.clone()), v, tag })
}

/// One volume, and what a change of its policy does.
pub(crate) async fn confirm(viewer: Viewer, Path(id): Path<String>) -> Answer {
    page(&read(&viewer, &id).await?)
}

/// What to do with a volume.
#[derive(Deserialize)]
pub(crate) struct Policy {
    /// `keep`, `delete`, or `release` for a retained volume.
    policy: String,
    /// The version that the viewer saw.
    tag: Option<String>,
}

/// Changes the policy, unless the volume is not what the viewer saw any more.
pub(crate) async fn change(viewer: Viewer, Path(id): Path<String>, Form(form): Form<Policy>) -> Answer {
    let path = format!("/volumes/{}", segment(&id));
    let mut shown = read(&viewer, &id).await?;
    // Only the exact word deletes.
    let delete_on_terminate = match form.policy.as_str() {
        "release" if shown.is_retained() => true,
        "delete" if shown.is_in_use() => true,
        "keep" if shown.is_in_use() => false,
        _ => {
            shown.frame.error = Some(EN.volume_changed.to_owned());
            return refused(&shown, StatusCode::CONFLICT);
        }
    };
    let change = ChangeVolume { delete_on_terminate };
    let tag = filled(form.tag).unwrap_or_else(|| shown.tag.clone());
    match viewer.api.change::<OwnedVolume>(Method::PATCH, &path, &change, Some(&tag)).await {
        Ok(_) => Ok(go_to("/console/volumes")),
        Err(refusal) if refusal.is_unauthorized() => Err(Failure::LoggedOut),
        Err(refusal) => {
            let mut shown = read(&viewer, &id).await?;
            let is_old = refusal.status == StatusCode::PRECONDITION_FAILED;
            shown.frame.error = Some(if is_old { EN.volume_changed.to_owned() } else { refusal.text });
            refused(&shown, refusal.status)
        }
    }
}
