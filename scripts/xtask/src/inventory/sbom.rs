//! The list of what ships as CycloneDX 1.5 (<https://cyclonedx.org/docs/1.5/json/>), without times: the same crates
//! give the same bytes.

use serde_json::{Value, json};

use super::Crate;
use crate::failure::Failure;
use crate::shipped::PACKAGE;
use crate::workspace;

/// The list, in one line: it becomes part of every app.
///
/// # Errors
/// [`Failure`] when the shipped crate itself is not among the crates.
pub fn write(crates: &[Crate]) -> Result<String, Failure> {
    let Some(root) = crates.iter().find(|one| one.name == PACKAGE) else {
        return Err(Failure::form("the list of crates", format!("{PACKAGE} is not in it")));
    };
    let components: Vec<Value> = crates.iter().filter(|one| one.name != PACKAGE).map(component).collect();
    let dependencies: Vec<Value> = crates.iter().map(|one| depends(one, crates)).collect();
    let mut list = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": component(root), "tools": { "components": [
            { "type": "application", "name": "cargo xtask sbom", "version": root.version },
        ] } },
        "components": components,
        "dependencies": dependencies,
    });
    // A name for this very list: made of what it says, where others take a random one.
    let hash = workspace::sha256(list.to_string().as_bytes());
    list["serialNumber"] = json!(serial_number(&hash));
    Ok(format!("{list}\n"))
}

/// A UUID of version 8 (RFC 9562): the bits are the maker's, but for version and variant.
fn serial_number(hash: &str) -> String {
    let h = hash;
    format!("urn:uuid:{}-{}-8{}-8{}-{}", &h[0..8], &h[8..12], &h[13..16], &h[17..20], &h[20..32])
}

fn component(one: &Crate) -> Value {
    let purl = one.purl();
    let mut component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": one.name,
        "version": one.version,
        "purl": purl,
        "licenses": [{ "expression": one.licence }],
    });
    if let Some(checksum) = &one.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    if let Some(repository) = &one.repository {
        component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
    }
    component
}

fn depends(one: &Crate, crates: &[Crate]) -> Value {
    let known = one.uses.iter().filter_map(|(name, version)| {
        crates.iter().find(|other| other.name == *name && other.version == *version).map(Crate::purl)
    });
    json!({ "ref": one.purl(), "dependsOn": known.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, uses: &[(&str, &str)]) -> Crate {
        Crate {
            name: name.into(),
            version: "1.0.0".into(),
            licence: "MIT".into(),
            repository: Some("https://example.org".into()),
            checksum: Some("00ff".into()),
            folder: None,
            uses: uses.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect(),
            ours: false,
        }
    }

    #[test]
    fn the_library_is_described_and_not_listed_as_its_own_part() {
        let text = write(&[one("a", &[]), one(PACKAGE, &[("a", "1.0.0"), ("gone", "1.0.0")])]).unwrap();
        let list: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(list["metadata"]["component"]["name"], PACKAGE);
        assert_eq!(list["components"].as_array().unwrap().len(), 1);
        assert_eq!(list["components"][0]["licenses"][0]["expression"], "MIT");
        assert_eq!(list["dependencies"][1]["dependsOn"], json!(["pkg:cargo/a@1.0.0"]));
    }

    #[test]
    fn the_same_crates_give_the_same_list_and_others_another_name() {
        let list = |crates: &[Crate]| write(crates).unwrap();
        let ours = [one(PACKAGE, &[])];
        assert_eq!(list(&ours), list(&ours));
        let serial = |text: &str| serde_json::from_str::<Value>(text).unwrap()["serialNumber"].to_string();
        let more = [one(PACKAGE, &[]), one("a", &[])];
        assert_ne!(serial(&list(&ours)), serial(&list(&more)));
        assert_eq!(serial(&list(&ours)).trim_matches('"').len(), "urn:uuid:".len() + 36);
        assert!(write(&[one("a", &[])]).is_err());
    }
}
