//! What is known about GPU models, by the name in a catalogue.

/// A GPU model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GpuModel {
    /// The name in a catalogue, without a suffix for the socket (`-SXM`, `-PCIe`).
    pub name: &'static str,
    /// NVIDIA's compute capability, times 10: 89 is 8.9.
    pub compute_capability_x10: i64,
    /// The memory that the driver shows, in bytes. Less than the memory on the card: error correction takes a sixteenth
    /// of GDDR6.
    pub memory_bytes: i64,
}

const MIB: i64 = 1 << 20;

/// Capabilities: developer.nvidia.com/cuda-gpus. Memory: the total that `nvidia-smi` prints for the card.
const MODELS: &[GpuModel] = &[
    GpuModel { name: "P100", compute_capability_x10: 60, memory_bytes: 16_276 * MIB },
    GpuModel { name: "RTX-3070", compute_capability_x10: 86, memory_bytes: 8_192 * MIB },
    GpuModel { name: "L4", compute_capability_x10: 89, memory_bytes: 23_034 * MIB },
    GpuModel { name: "L40S", compute_capability_x10: 89, memory_bytes: 46_068 * MIB },
    GpuModel { name: "H100", compute_capability_x10: 90, memory_bytes: 81_559 * MIB },
    GpuModel { name: "B300", compute_capability_x10: 103, memory_bytes: 275_040 * MIB },
];

/// The model with a name; `None`: it is not known.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static GpuModel> {
    let is = |m: &&GpuModel| name == m.name || name.strip_prefix(m.name).is_some_and(|rest| rest.starts_with('-'));
    MODELS.iter().find(is)
}

/// A compute capability as NVIDIA writes it.
#[must_use]
pub fn capability(x10: i64) -> String {
    format!("{}.{}", x10 / 10, x10 % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_end_with_its_socket() {
        for (name, capability_x10) in [
            ("L4", Some(89)),
            ("L40S", Some(89)),
            ("H100-PCIe", Some(90)),
            ("H100-SXM", Some(90)),
            ("B300-SXM", Some(103)),
            ("P100", Some(60)),
            ("L400", None),
            ("H1000-SXM", None),
            ("", None),
        ] {
            assert_eq!(by_name(name).map(|m| m.compute_capability_x10), capability_x10, "{name}");
        }
        assert_eq!((capability(89), capability(103)), ("8.9".to_owned(), "10.3".to_owned()));
    }
}
