//! Reads recordings: gzipped JSON, one exchange with the real API per line.

use flate2::read::GzDecoder;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// One exchange.
pub(crate) struct Exchange {
    pub(crate) index: u64,
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names and values, sorted by name.
    pub(crate) query: Vec<(String, Vec<String>)>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Value,
    pub(crate) status: u16,
    /// The recorded headers of the answer: content type, link, total, location.
    pub(crate) headers: Value,
    pub(crate) answer: Value,
}

/// Every recording in a folder and its subfolders, by name.
pub(crate) fn find(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|e| e.to_string())?.path();
        if path.is_dir() {
            found.extend(find(&path)?);
        } else if path.to_string_lossy().ends_with(".jsonl.gz") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

pub(crate) fn read(file: &Path) -> Result<Vec<Exchange>, String> {
    let wrong = |what: &str| format!("{}: {what}", file.display());
    let lines = BufReader::new(GzDecoder::new(File::open(file).map_err(|e| wrong(&e.to_string()))?)).lines();
    lines
        .map(|line| {
            let line = line.map_err(|e| wrong(&e.to_string()))?;
            let value: Value = serde_json::from_str(&line).map_err(|e| wrong(&e.to_string()))?;
            exchange(&value).ok_or_else(|| wrong("a line is not an exchange"))
        })
        .collect()
}

fn exchange(value: &Value) -> Option<Exchange> {
    let (request, response) = (value.get("request")?, value.get("response")?);
    let query = request.get("query").and_then(Value::as_object).map(|query| {
        let values =
            |v: &Value| v.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        query.iter().map(|(name, v)| (name.clone(), values(v))).collect()
    });
    Some(Exchange {
        index: value.get("index")?.as_u64()?,
        method: request.get("method")?.as_str()?.to_owned(),
        path: request.get("path")?.as_str()?.to_owned(),
        query: query.unwrap_or_default(),
        content_type: request.pointer("/headers/content-type").and_then(Value::as_str).map(str::to_owned),
        body: request.get("body").cloned().unwrap_or(Value::Null),
        status: u16::try_from(response.get("status")?.as_u64()?).ok()?,
        headers: response.get("headers").cloned().unwrap_or(Value::Null),
        answer: response.get("body").cloned().unwrap_or(Value::Null),
    })
}
