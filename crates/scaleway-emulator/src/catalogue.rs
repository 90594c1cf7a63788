//! Server types and images, with the figures of the recorded catalogue (fr-par-2, summer of 2026).

/// One server type.
pub(crate) struct Type {
    pub(crate) name: &'static str,
    pub(crate) arch: &'static str,
    pub(crate) ncpus: i64,
    pub(crate) ram: i64,
    /// Count, name, memory of one.
    pub(crate) gpu: Option<(i64, &'static str, i64)>,
    /// Most local storage, all volumes together.
    pub(crate) local_max: i64,
    pub(crate) scratch_max: i64,
    pub(crate) hourly: f64,
    pub(crate) monthly_hours: f64,
    pub(crate) block_bandwidth: i64,
    pub(crate) internet_bandwidth: i64,
    pub(crate) zones: &'static [&'static str],
}

/// Every zone there is.
pub(crate) const ZONES: &[&str] = &[
    "fr-par-1", "fr-par-2", "fr-par-3", "nl-ams-1", "nl-ams-2", "nl-ams-3", "pl-waw-1", "pl-waw-2", "pl-waw-3",
    "it-mil-1",
];

const GB: i64 = 1_000_000_000;
const TB: i64 = 1_000 * GB;
const ALL: &[&str] = ZONES;
const PAR2: &[&str] = &["fr-par-2"];
const PAR12: &[&str] = &["fr-par-1", "fr-par-2"];
const PAR12_WAW2: &[&str] = &["fr-par-1", "fr-par-2", "pl-waw-2"];
const PAR2_WAW2: &[&str] = &["fr-par-2", "pl-waw-2"];

const L4: (&str, i64) = ("L4", 25_769_803_776);
const L40S: (&str, i64) = ("L40S", 51_539_607_552);
const H100: (&str, i64) = ("H100-PCIe", 85_899_345_920);
const SXM: (&str, i64) = ("H100-SXM", 85_899_345_920);
const B300: (&str, i64) = ("B300-SXM", 309_237_645_312);

#[expect(clippy::too_many_arguments, reason = "one line of a table")]
const fn gpu(
    name: &'static str,
    count: i64,
    (gpu_name, memory): (&'static str, i64),
    ncpus: i64,
    ram: i64,
    scratch_max: i64,
    hourly: f64,
    block_bandwidth: i64,
    zones: &'static [&'static str],
) -> Type {
    Type {
        name,
        arch: "x86_64",
        ncpus,
        ram,
        gpu: Some((count, gpu_name, memory)),
        local_max: 0,
        scratch_max,
        hourly,
        monthly_hours: 730.0,
        block_bandwidth,
        internet_bandwidth: 2_500_000_000,
        zones,
    }
}

const fn cpu(
    name: &'static str,
    arch: &'static str,
    (ncpus, ram): (i64, i64),
    local_max: i64,
    hourly: f64,
    block_bandwidth: i64,
    internet_bandwidth: i64,
) -> Type {
    Type {
        name,
        arch,
        ncpus,
        ram,
        gpu: None,
        local_max,
        scratch_max: 0,
        hourly,
        monthly_hours: 730.0,
        block_bandwidth,
        internet_bandwidth,
        zones: ALL,
    }
}

pub(crate) const TYPES: &[Type] = &[
    gpu("B300-SXM-2-288G", 2, B300, 56, 1_030_792_151_040, 6 * TB, 18.96, 5_242_880_000, PAR2),
    gpu("B300-SXM-4-288G", 4, B300, 112, 2_061_584_302_080, 12 * TB, 34.08, 5_242_880_000, PAR2),
    gpu("B300-SXM-8-288G", 8, B300, 224, 4_123_168_604_160, 24 * TB, 60.0, 5_242_880_000, PAR2),
    cpu("BASIC2-A2C-4G", "arm64", (2, 4_294_967_296), 0, 0.023, 83_886_080, 200_000_000),
    cpu("DEV1-S", "x86_64", (2, 2_147_483_648), 20 * GB, 0.008_976, 104_857_600, 200_000_000),
    cpu("DEV1-M", "x86_64", (3, 4_294_967_296), 40 * GB, 0.020_196, 157_286_400, 300_000_000),
    cpu("GP1-XS", "x86_64", (4, 17_179_869_184), 150 * GB, 0.092_82, 314_572_800, 500_000_000),
    gpu("H100-1-80G", 1, H100, 24, 257_698_037_760, 3 * TB, 2.8665, 2_097_152_000, PAR2_WAW2),
    gpu("H100-2-80G", 2, H100, 48, 515_396_075_520, 6 * TB, 5.733, 4_194_304_000, PAR2_WAW2),
    gpu("H100-SXM-2-80G", 2, SXM, 32, 257_698_037_760, 3_200 * GB, 6.6198, 5_242_880_000, PAR2),
    gpu("H100-SXM-4-80G", 4, SXM, 64, 515_396_075_520, 6_400 * GB, 12.771, 5_242_880_000, PAR2),
    gpu("H100-SXM-8-80G", 8, SXM, 128, 1_030_792_151_040, 12_800 * GB, 25.3308, 5_242_880_000, PAR2),
    gpu("L4-1-24G", 1, L4, 8, 51_539_607_552, 0, 0.7875, 1_048_576_000, PAR12_WAW2),
    gpu("L4-2-24G", 2, L4, 16, 103_079_215_104, 0, 1.575, 1_572_864_000, PAR12_WAW2),
    gpu("L4-4-24G", 4, L4, 32, 206_158_430_208, 0, 3.15, 2_621_440_000, PAR12_WAW2),
    gpu("L4-8-24G", 8, L4, 64, 412_316_860_416, 0, 6.3, 5_242_880_000, PAR12_WAW2),
    gpu("L40S-1-48G", 1, L40S, 8, 103_079_215_104, 1_600 * GB, 1.469_916, 1_048_576_000, PAR2_WAW2),
    gpu("L40S-2-48G", 2, L40S, 16, 206_158_430_208, 3_200 * GB, 2.939_832, 1_572_864_000, PAR2_WAW2),
    gpu("L40S-4-48G", 4, L40S, 32, 412_316_860_416, 6_400 * GB, 5.879_664, 2_621_440_000, PAR2_WAW2),
    gpu("L40S-8-48G", 8, L40S, 64, 824_633_720_832, 12_800 * GB, 11.759_328, 5_242_880_000, PAR2_WAW2),
    cpu("PLAY2-PICO", "x86_64", (1, 2_147_483_648), 0, 0.014_28, 41_943_040, 100_000_000),
    cpu("PRO2-XXS", "x86_64", (2, 8_589_934_592), 0, 0.056_1, 131_072_000, 350_000_000),
    Type {
        local_max: 400 * GB,
        monthly_hours: 730.0,
        internet_bandwidth: 2_000_000_000,
        ..gpu("RENDER-S", 1, ("P100", 17_179_869_184), 10, 45_097_156_608, 0, 1.221, 2_147_483_648, PAR12)
    },
];

/// The type of that name in that zone.
pub(crate) fn find(name: &str, zone: &str) -> Option<&'static Type> {
    TYPES.iter().find(|t| t.name == name && t.zones.contains(&zone))
}

/// One image in the marketplace; every zone has its own id of it.
pub(crate) struct Image {
    pub(crate) label: &'static str,
    pub(crate) name: &'static str,
    pub(crate) arch: &'static str,
    pub(crate) local: bool,
    /// Size of its root volume.
    pub(crate) size: i64,
    /// A digit that makes its ids.
    pub(crate) number: u8,
    pub(crate) fits: fn(&Type) -> bool,
}

const JAMMY: &str = "Ubuntu 22.04 Jammy Jellyfish";
const NOBLE: &str = "Ubuntu 24.04 Noble Numbat";
const GPU12: &str = "Ubuntu Jammy GPU OS 12 passthrough";
const NOBLE12: &str = "Ubuntu Noble GPU OS 12 passthrough";

fn plain(t: &Type) -> bool {
    t.gpu.is_none() && t.arch == "x86_64"
}

fn arm(t: &Type) -> bool {
    t.arch == "arm64"
}

fn with_local(t: &Type) -> bool {
    plain(t) && t.local_max > 0
}

fn any_gpu(t: &Type) -> bool {
    t.gpu.is_some()
}

fn render(t: &Type) -> bool {
    t.name == "RENDER-S"
}

pub(crate) const IMAGES: &[Image] = &[
    Image {
        label: "ubuntu_jammy",
        name: JAMMY,
        arch: "x86_64",
        local: true,
        size: 10 * GB,
        number: 1,
        fits: with_local,
    },
    Image { label: "ubuntu_jammy", name: JAMMY, arch: "arm64", local: false, size: 10 * GB, number: 2, fits: arm },
    Image { label: "ubuntu_jammy", name: JAMMY, arch: "x86_64", local: false, size: 10 * GB, number: 3, fits: plain },
    Image {
        label: "ubuntu_noble",
        name: NOBLE,
        arch: "x86_64",
        local: true,
        size: 10 * GB,
        number: 4,
        fits: with_local,
    },
    Image { label: "ubuntu_noble", name: NOBLE, arch: "arm64", local: false, size: 10 * GB, number: 5, fits: arm },
    Image { label: "ubuntu_noble", name: NOBLE, arch: "x86_64", local: false, size: 10 * GB, number: 6, fits: plain },
    Image {
        label: "ubuntu_jammy_gpu_os_12",
        name: GPU12,
        arch: "x86_64",
        local: true,
        size: 20 * GB,
        number: 7,
        fits: render,
    },
    Image {
        label: "ubuntu_jammy_gpu_os_12",
        name: GPU12,
        arch: "x86_64",
        local: false,
        size: 20 * GB,
        number: 8,
        fits: any_gpu,
    },
    Image {
        label: "ubuntu_noble_gpu_os_12",
        name: NOBLE12,
        arch: "x86_64",
        local: false,
        size: 20 * GB,
        number: 9,
        fits: any_gpu,
    },
];

impl Image {
    /// Its id in a zone.
    pub(crate) fn id(&self, zone: &str) -> String {
        let index = ZONES.iter().position(|z| *z == zone).unwrap_or(0);
        format!("a11ce000-0000-4000-8000-{:08x}{index:04x}", u32::from(self.number))
    }

    /// The id of the snapshot that its root volume is made from.
    pub(crate) fn snapshot_id(&self, zone: &str) -> String {
        self.id(zone).replacen("a11ce000", "5a11ce00", 1)
    }

    /// The image with that id in that zone.
    pub(crate) fn by_id(id: &str, zone: &str) -> Option<&'static Self> {
        IMAGES.iter().find(|i| i.id(zone) == id)
    }
}
