//! What a check of an account asks the provider for, and how the response is judged.

use inventiv_api::{AskCheck, Checks};
use inventiv_core::observed::ZoneInventory;
use inventiv_core::offer::Offer;
use inventiv_core::storage_prices::StoragePrices;
use inventiv_providers::CloudProvider;
use inventiv_types::CheckSubject;
use std::sync::Arc;

/// How the API asks the provider.
pub(crate) fn checks(provider: Arc<dyn CloudProvider>, zones: Vec<String>) -> Checks {
    let ask: AskCheck = Box::new(move |zone, subject| {
        let provider = provider.clone();
        Box::pin(async move {
            match subject {
                CheckSubject::Catalogue => catalogue(&provider.offers(&zone).await.map_err(|e| e.message)?),
                CheckSubject::Inventory => inventory(&provider.observe(&zone).await.map_err(|e| e.message)?),
                CheckSubject::StoragePrices => {
                    let known = &provider.profile().storage_prices;
                    prices(&provider.storage_prices(&zone, known).await.map_err(|e| e.message)?)
                }
            }
        })
    });
    Checks { zones, ask }
}

fn catalogue(offers: &[Offer]) -> Result<String, String> {
    let with_gpus = offers.iter().filter(|o| o.gpu_count > 0).count();
    match offers.len() {
        0 => Err("the catalogue shows no server type".to_owned()),
        all => Ok(format!("{all} server types, {with_gpus} of them with GPUs")),
    }
}

fn inventory(seen: &ZoneInventory) -> Result<String, String> {
    if !seen.complete {
        return Err("the listing changed while it was read; check again".to_owned());
    }
    match seen.hidden.as_ref().or(seen.blocks_hidden.as_ref()) {
        // Nothing is wrong with an empty project, and nothing tells it from one that is hidden.
        Some(why) if seen.servers.is_empty() && seen.volumes.is_empty() => Ok(format!("nothing is there ({why})")),
        Some(why) => Err(why.clone()),
        None => Ok(format!("{} servers and {} volumes", seen.servers.len(), seen.volumes.len())),
    }
}

fn prices(prices: &StoragePrices) -> Result<String, String> {
    let (currency, block) = (&prices.currency, prices.block.iter());
    let block = block.map(|b| format!("{} IOPS {} nano-{currency}/GB/h", b.perf_iops, b.price.nanos));
    let source = prices.block.first().map(|b| b.price.source.as_str());
    match source {
        Some(source) => Ok(format!("{} ({source})", block.collect::<Vec<_>>().join(", "))),
        None => Err("no price of block storage is known, so costs are not complete".to_owned()),
    }
}
