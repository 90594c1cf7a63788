//! Server types and images, with the values that the catalogue and the marketplace showed, and since when.
//!
//! `data/types.tsv` and `data/images.tsv` have a line for each change. The emulator shows the values that were valid at
//! the time of its clock.

use crate::clock::day_us;
use std::sync::OnceLock;

/// One server type, during one period.
pub(crate) struct Type {
    pub(crate) name: &'static str,
    since_us: i64,
    zones: Vec<&'static str>,
    pub(crate) arch: &'static str,
    pub(crate) ncpus: i64,
    pub(crate) ram: i64,
    pub(crate) gpus: i64,
    /// The name of one GPU, and its memory.
    pub(crate) gpu: Option<(&'static str, i64)>,
    /// The minimum and maximum local storage of all volumes together.
    pub(crate) local_min: i64,
    pub(crate) local_max: i64,
    /// The maximum size of one local volume.
    pub(crate) volume_max: i64,
    pub(crate) scratch_max: i64,
    pub(crate) scratch_count: i64,
    pub(crate) hourly: f64,
    pub(crate) monthly: f64,
    pub(crate) internal_bandwidth: i64,
    pub(crate) internet_bandwidth: i64,
    pub(crate) block_bandwidth: i64,
    pub(crate) file_systems: i64,
    pub(crate) hot_snapshot: bool,
    pub(crate) alt_names: Vec<&'static str>,
    pub(crate) end_of_service: bool,
}

/// Every zone, with its short name in the tables.
const ZONE_NAMES: [(&str, &str); 10] = [
    ("fr-par-1", "p1"),
    ("fr-par-2", "p2"),
    ("fr-par-3", "p3"),
    ("nl-ams-1", "a1"),
    ("nl-ams-2", "a2"),
    ("nl-ams-3", "a3"),
    ("pl-waw-1", "w1"),
    ("pl-waw-2", "w2"),
    ("pl-waw-3", "w3"),
    ("it-mil-1", "m1"),
];

pub(crate) fn is_zone(zone: &str) -> bool {
    ZONE_NAMES.iter().any(|(name, _)| *name == zone)
}

/// A zone by its short name in the tables.
pub(crate) fn long_name(short: &str) -> Option<&'static str> {
    ZONE_NAMES.iter().find(|(_, s)| *s == short).map(|(name, _)| *name)
}

pub(crate) fn zones() -> impl Iterator<Item = &'static str> {
    ZONE_NAMES.iter().map(|(name, _)| *name)
}

pub(crate) fn lines(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).map(|l| l.split('\t').collect())
}

fn types() -> &'static [Type] {
    static TYPES: OnceLock<Vec<Type>> = OnceLock::new();
    TYPES.get_or_init(|| lines(include_str!("../data/types.tsv")).filter_map(|f| read_type(&f)).collect())
}

/// `None` means a mistake in the table; a test reads every line.
fn read_type(f: &[&'static str]) -> Option<Type> {
    let int = |i: usize| f.get(i)?.parse::<i64>().ok();
    let list = |i: usize| Some(f.get(i)?.split(',').filter(|v| *v != "-").collect::<Vec<_>>());
    Some(Type {
        name: f.first()?,
        since_us: day_us(f.get(1)?)?,
        zones: list(2)?,
        arch: f.get(3)?,
        ncpus: int(4)?,
        ram: int(5)?,
        gpus: int(6)?,
        gpu: Some((*f.get(7)?, int(8)?)).filter(|(name, _)| *name != "-"),
        local_min: int(9)?,
        local_max: int(10)?,
        volume_max: int(11)?,
        scratch_max: int(12)?,
        scratch_count: int(13)?,
        hourly: f.get(14)?.parse().ok()?,
        monthly: f.get(15)?.parse().ok()?,
        internal_bandwidth: int(16)?,
        internet_bandwidth: int(17)?,
        block_bandwidth: int(18)?,
        file_systems: int(19)?,
        hot_snapshot: int(20)? == 1,
        alt_names: list(21)?,
        end_of_service: int(22)? == 1,
    })
}

/// The types that a zone offers at a time, by name.
pub(crate) fn in_zone(zone: &str, at_us: i64) -> Vec<&'static Type> {
    let short = ZONE_NAMES.iter().find(|(name, _)| *name == zone).map_or("", |(_, short)| short);
    let all = types();
    let mut found: Vec<&Type> = Vec::new();
    for (n, t) in all.iter().enumerate() {
        let replaced = all.get(n + 1).is_some_and(|next| next.name == t.name && next.since_us <= at_us);
        if t.since_us <= at_us && !replaced && t.zones.contains(&short) {
            found.push(t);
        }
    }
    found
}

/// The type with a name in a zone at a time.
pub(crate) fn find(name: &str, zone: &str, at_us: i64) -> Option<&'static Type> {
    let short = ZONE_NAMES.iter().find(|(n, _)| *n == zone).map_or("", |(_, short)| short);
    let all = types();
    let first = all.partition_point(|t| t.name < name);
    let own = all[first..].iter().take_while(|t| t.name == name);
    own.filter(|t| t.since_us <= at_us).last().filter(|t| t.zones.contains(&short))
}

/// The architecture of a type, offered or not.
pub(crate) fn arch(name: &str) -> &'static str {
    types().iter().find(|t| t.name == name).map_or("x86_64", |t| t.arch)
}

/// An image of the marketplace in one zone.
#[derive(Debug, Clone)]
pub(crate) struct MarketImage {
    pub(crate) label: &'static str,
    pub(crate) zone: &'static str,
    pub(crate) local: bool,
    pub(crate) arch: &'static str,
    since_us: i64,
    pub(crate) id: String,
    /// The snapshot that its root volume is made from.
    pub(crate) snapshot: String,
    pub(crate) compatible: &'static [&'static str],
    pub(crate) created: &'static str,
    pub(crate) name: &'static str,
}

const GB: i64 = 1_000_000_000;
/// The creation time of images whose recordings do not show it.
const MADE: &str = "2025-10-20T14:33:32.134908+00:00";
const GPU_TYPES: &str = "c07";
const X64_TYPES: &str = "c18";
/// Labels that the marketplace lists but of which no image was recorded: label, name, kinds, compatible types.
const UNRECORDED: &[(&str, &str, &str, &str)] = &[
    ("ubuntu_noble_gpu_os_12", "Ubuntu Noble GPU OS 12 passthrough", "sbs", GPU_TYPES),
    ("ubuntu_noble_gpu_os_13", "Ubuntu Noble GPU OS 13 passthrough", "sbs", GPU_TYPES),
    ("debian_bookworm", "Debian Bookworm", "local sbs", X64_TYPES),
    ("debian_trixie", "Debian Trixie", "local sbs", X64_TYPES),
    ("almalinux_8", "AlmaLinux 8", "local sbs", X64_TYPES),
    ("almalinux_9", "AlmaLinux 9", "local sbs", X64_TYPES),
    ("centos_stream_9", "CentOS Stream 9", "local sbs", X64_TYPES),
    ("docker", "Docker", "local sbs", X64_TYPES),
    ("fedora_42", "Fedora 42", "local sbs", X64_TYPES),
    ("fedora_43", "Fedora 43", "local sbs", X64_TYPES),
    ("gitlab", "GitLab", "local sbs", X64_TYPES),
    ("nextcloud", "Nextcloud", "local sbs", X64_TYPES),
    ("rockylinux_8", "Rocky Linux 8", "local sbs", X64_TYPES),
    ("rockylinux_9", "Rocky Linux 9", "local sbs", X64_TYPES),
    ("wordpress", "WordPress", "local sbs", X64_TYPES),
];
/// The local image of the GPU system for RENDER-S: known from practice, not from recordings.
pub(crate) const LOCAL_GPU_LABEL: &str = "ubuntu_jammy_gpu_os_12";

fn compatible(list: &str) -> &'static [&'static str] {
    static LISTS: OnceLock<Vec<(&str, Vec<&str>)>> = OnceLock::new();
    let lists = LISTS.get_or_init(|| {
        lines(include_str!("../data/compatible.tsv"))
            .map(|f| (f[0], f[1..].join(" ")))
            .map(|(n, t)| (n, leak(t)))
            .collect()
    });
    lists.iter().find(|(name, _)| *name == list).map_or(&[], |(_, types)| types.as_slice())
}

/// Leaks memory once per process.
fn leak(types: String) -> Vec<&'static str> {
    Box::leak(types.into_boxed_str()).split(' ').collect()
}

fn images() -> &'static [MarketImage] {
    static IMAGES: OnceLock<Vec<MarketImage>> = OnceLock::new();
    IMAGES.get_or_init(all_images)
}

fn all_images() -> Vec<MarketImage> {
    let mut all: Vec<MarketImage> = lines(include_str!("../data/images.tsv")).filter_map(|f| read_image(&f)).collect();
    let recorded = all.clone();
    for (zone, short) in ZONE_NAMES {
        // An image recorded in another zone is also offered here, with a different id.
        for like in &recorded {
            let known = |i: &&MarketImage| i.label == like.label && i.zone == zone && i.local == like.local;
            let newest =
                recorded.iter().filter(|i| same_line(i, like)).map(|i| i.since_us).max() == Some(like.since_us);
            let made = |i: &MarketImage| {
                i.zone == zone && i.label == like.label && i.local == like.local && i.arch == like.arch
            };
            if newest && !recorded.iter().any(|i| known(&i) && i.arch == like.arch) && !all.iter().any(made) {
                let id = made_id(&[like.label, short, if like.local { "local" } else { "sbs" }, like.arch]);
                all.push(MarketImage { zone, since_us: 0, snapshot: snapshot_of(&id), id, ..like.clone() });
            }
        }
        for (label, name, kinds, list) in UNRECORDED {
            for kind in kinds.split(' ') {
                let types = if kind == "local" { "c06" } else { list };
                all.push(made_image(label, zone, kind == "local", name, compatible(types)));
            }
        }
        all.push(made_image(LOCAL_GPU_LABEL, zone, true, "Ubuntu Jammy GPU OS 12 passthrough", &["RENDER-S"]));
    }
    all
}

fn same_line(a: &MarketImage, b: &MarketImage) -> bool {
    a.label == b.label && a.zone == b.zone && a.local == b.local && a.arch == b.arch
}

fn made_image(
    label: &'static str,
    zone: &'static str,
    local: bool,
    name: &'static str,
    compatible: &'static [&'static str],
) -> MarketImage {
    let id = made_id(&[label, zone, if local { "local" } else { "sbs" }]);
    MarketImage {
        label,
        zone,
        local,
        arch: "x86_64",
        since_us: 0,
        snapshot: snapshot_of(&id),
        id,
        compatible,
        created: MADE,
        name,
    }
}

/// The id of a marketplace image, the same in all zones.
pub(crate) fn label_id(label: &str) -> String {
    made_id(&["label", label])
}

/// An id that is the same in every run.
fn made_id(parts: &[&str]) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.join("/").bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("a11ce000-0000-4000-8000-{:012x}", hash & 0xffff_ffff_ffff)
}

fn snapshot_of(image: &str) -> String {
    format!("5a11ce00{}", image.get(8..).unwrap_or_default())
}

fn read_image(f: &[&'static str]) -> Option<MarketImage> {
    let zone = ZONE_NAMES.iter().find(|(name, _)| Some(name) == f.get(1)).map(|(name, _)| *name)?;
    let id = (*f.get(5)?).to_owned();
    let text = |i: usize, other: String| f.get(i).filter(|v| **v != "-").map_or(other, |v| (*v).to_owned());
    Some(MarketImage {
        label: f.first()?,
        zone,
        local: *f.get(2)? == "local",
        arch: f.get(3)?,
        since_us: day_us(f.get(4)?)?,
        snapshot: text(6, snapshot_of(&id)),
        id,
        compatible: compatible(f.get(7)?),
        created: f.get(8).filter(|v| **v != "-").copied().unwrap_or(MADE),
        name: f.get(9)?,
    })
}

/// The images that a zone offers under a label at a time.
pub(crate) fn images_of(label: &str, zone: &str, at_us: i64) -> Vec<&'static MarketImage> {
    let own: Vec<&MarketImage> = images().iter().filter(|i| i.label == label && i.zone == zone).collect();
    let newest = |i: &&MarketImage| {
        let later = |o: &&MarketImage| same_line(o, i) && o.since_us <= at_us && o.since_us > i.since_us;
        i.since_us <= at_us && !own.iter().any(later)
    };
    let mut found: Vec<&MarketImage> = own.iter().filter(|i| newest(i)).copied().collect();
    // No image is as old as the requested time: take the first one.
    if found.is_empty() {
        found.extend(own.first());
    }
    found.sort_by(|a, b| (!a.local, &a.id).cmp(&(!b.local, &b.id)));
    found
}

/// Every label, with its name.
pub(crate) fn labels() -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<(&str, &str)> = images().iter().map(|i| (i.label, i.name)).collect();
    all.sort_by_key(|(label, name)| (*name, *label));
    all.dedup();
    all
}

/// Whether recordings show the types of a zone, or their stock (`availability`).
pub(crate) fn shows_types(zone: &str, what: &[&str]) -> bool {
    let stock = what.first() == Some(&"availability");
    matches!(zone, "fr-par-1" | "nl-ams-2" | "pl-waw-1") || (zone == "fr-par-2" && !stock)
}

/// Whether recordings show the images of a zone.
pub(crate) fn shows_images(zone: &str) -> bool {
    matches!(zone, "fr-par-1" | "fr-par-2" | "nl-ams-2")
}

/// The label of an image of the marketplace, by the image's id.
pub(crate) fn label_of_id(id: &str) -> Option<&'static str> {
    labels().into_iter().map(|(label, _)| label).find(|label| label_id(label) == id)
}

/// The image with an id, in any zone.
pub(crate) fn image_by_id(id: &str) -> Option<&'static MarketImage> {
    images().iter().rev().find(|i| i.id == id)
}

/// Whether a snapshot is the source of a marketplace image.
pub(crate) fn is_market_snapshot(id: &str) -> bool {
    images().iter().any(|i| i.snapshot == id)
}

/// The size of the root volume of an image, in bytes.
pub(crate) fn root_size(name: &str) -> i64 {
    if name.contains("GPU OS") {
        20 * GB
    } else if name.starts_with("Windows") {
        25 * GB
    } else {
        10 * GB
    }
}

/// The moments at which a table changes, in microseconds since 1970.
pub(crate) fn changes_us() -> Vec<i64> {
    let images = lines(include_str!("../data/images.tsv")).filter_map(|f| day_us(f.get(4)?));
    let mut all: Vec<i64> = types().iter().map(|t| t.since_us).chain(images).collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests;
