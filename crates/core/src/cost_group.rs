//! What costs are grouped by.

use crate::words::words;

words!(
    /// What costs are grouped by.
    CostGroup {
        /// The instance.
        Instance = "instance",
        /// The service; an empty key: instances that belong to none.
        Service = "service",
        /// The model; an empty key: instances without a model.
        Model = "model",
        /// The zone.
        Zone = "zone",
        /// What is priced: `server/TYPE`, `block/IOPS` or `address/ipv4`.
        Sku = "sku",
        /// Server, volume or address.
        Kind = "kind",
        /// Why it is charged.
        Class = "class",
        /// The server or volume, by its id in the records.
        Resource = "resource",
        /// The day in UTC.
        Day = "day",
        /// A tag of the instance; an empty key: instances without tags. An instance with several tags counts under each.
        Tag = "tag",
    }
);
