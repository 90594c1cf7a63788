//! The catalogue: server types with price, storage and availability.

use super::server::total_header;
use super::{Scaleway, instance_path, wire};
use crate::error::Error;
use inventiv_core::error::Effect;
use inventiv_core::money::HourlyPrice;
use inventiv_core::offer::{Availability, BootStorage, Offer};
use std::collections::BTreeMap;

impl Scaleway {
    pub(super) async fn list_offers(&self, zone: &str) -> Result<Vec<Offer>, Error> {
        let types: BTreeMap<String, wire::Product> =
            self.map_pages(zone, "products/servers", |page| page.decode::<wire::Products>().map(|p| p.servers)).await?;
        let words: BTreeMap<String, wire::AvailabilityWord> = self
            .map_pages(zone, "products/servers/availability", |page| {
                page.decode::<wire::Availabilities>().map(|p| p.servers)
            })
            .await?;
        Ok(types.into_iter().map(|(name, product)| offer(zone, name, product, &words)).collect())
    }

    /// Reads all pages of a listing that is a map instead of a list.
    async fn map_pages<T>(
        &self,
        zone: &str,
        what: &str,
        decode: impl Fn(&crate::http::Success) -> Result<BTreeMap<String, T>, Error>,
    ) -> Result<BTreeMap<String, T>, Error> {
        let mut all = BTreeMap::new();
        for page in 1..=100 {
            let answer = self.read(instance_path(zone, &format!("{what}?page={page}&per_page=100"))).await?;
            let total = total_header(&answer)?;
            let entries = decode(&answer)?;
            let empty = entries.is_empty();
            all.extend(entries);
            if all.len() as u64 >= total {
                return Ok(all);
            }
            if empty {
                break;
            }
        }
        Err(Error::unavailable(Effect::None, format!("{what} in {zone}: the listing has fewer entries than its total")))
    }
}

fn offer(zone: &str, name: String, p: wire::Product, words: &BTreeMap<String, wire::AvailabilityWord>) -> Offer {
    let availability = match words.get(&name).map(|w| w.availability.as_str()) {
        Some("available") => Availability::Available,
        Some("scarce") => Availability::Scarce,
        Some("shortage") => Availability::Shortage,
        _ => Availability::Unknown,
    };
    let local = p.volumes_constraint.as_ref();
    let local_max = local.and_then(|c| c.max_size).unwrap_or(0);
    Offer {
        instance_type: name,
        zone: zone.to_owned(),
        gpu_count: p.gpu.unwrap_or(0),
        gpu_name: p.gpu_info.as_ref().and_then(|g| g.gpu_name.clone()),
        gpu_memory_bytes: p.gpu_info.as_ref().and_then(|g| g.gpu_memory),
        vcpus: p.ncpus,
        ram_bytes: p.ram,
        price: HourlyPrice::from_euros(p.hourly_price),
        availability,
        boot_storage: if local_max > 0 { BootStorage::Local } else { BootStorage::Block },
        local_min_bytes: local.and_then(|c| c.min_size).unwrap_or(0),
        local_max_bytes: local_max,
        scratch_bytes: p.scratch_storage_max_size.unwrap_or(0),
        arch: p.arch,
        end_of_service: p.end_of_service,
    }
}
