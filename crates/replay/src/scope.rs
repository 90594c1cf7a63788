//! Which product an exchange belongs to, and which products are compared.

/// A product of the cloud.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Product {
    Instance,
    Block,
    Marketplace,
    Catalogue,
    Iam,
    Other,
}

impl Product {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Block => "block",
            Self::Marketplace => "marketplace",
            Self::Catalogue => "product catalogue",
            Self::Iam => "iam",
            Self::Other => "other products",
        }
    }
}

/// The product that owns a path.
pub(crate) fn product(path: &str) -> Product {
    let mut parts = path.trim_start_matches('/').split('/');
    match (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default()) {
        ("instance", _) => Product::Instance,
        ("block", _) => Product::Block,
        ("marketplace", _) => Product::Marketplace,
        ("product-catalog", _) => Product::Catalogue,
        // The emulator does not create API keys: it covers only what clients of the other products read from IAM.
        ("iam", "ssh-keys") => Product::Iam,
        ("iam", "api-keys") if path.matches('/').count() > 3 => Product::Iam,
        _ => Product::Other,
    }
}

/// The kind of resource in a path, for the table.
pub(crate) fn kind(path: &str) -> String {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let tail: Vec<&str> = match product(path) {
        Product::Instance | Product::Block => parts.iter().skip(4).copied().collect(),
        Product::Marketplace | Product::Catalogue | Product::Iam | Product::Other => {
            parts.iter().skip(2).copied().collect()
        }
    };
    let words = tail.iter().enumerate().filter(|(i, _)| *i == 0 || *i == 2).map(|(_, w)| *w);
    let words: Vec<&str> = words.collect();
    format!("{} {}", product(path).text(), words.join("/"))
}

/// Whether it is about servers, volumes or block volumes, which must be equal without exception.
pub(crate) fn is_core(kind: &str) -> bool {
    kind.starts_with("instance servers") || kind.starts_with("instance volumes") || kind.starts_with("block volumes")
}
