//! What runs here, and is it sound?

use actix_web::HttpResponse;
use serde_json::{Value, json};

use super::checkup::{disk_kind, held, key_type};
use crate::web::facts::{SshServiceStatus, WeakAlgorithm};
use crate::web::listen::validity::CertificateState;
use crate::web::operations::disks::DiskStatus;
use crate::web::operations::status::{ServicesStatus, current};
use crate::web::pages::error::PageError;
use crate::web::pages::signed::Signed;
use crate::web::pages::text;
use crate::web::request::auth::ViewStatus;

pub async fn page(signed: Signed<ViewStatus>) -> Result<HttpResponse, PageError> {
    let services = signed.services();
    let status = current(services).await;
    let sessions = services.registry.count().await;
    let content = json!({
        "status": status,
        "version": services.version,
        "sessions": sessions,
        "algorithms": algorithms(&status.ssh),
        // Of host keys it stands with the key.
        "weak": status.ssh.weak_algorithms.iter()
            .filter(|one| one.purpose != "host_key").collect::<Vec<_>>(),
        "key_types": status.ssh.host_keys.iter().map(|key| match key.rsa_bits {
            Some(bits) => format!("RSA, {bits} bits"),
            None => key.algorithms.first().map_or("Not offered", |name| key_type(name)).to_owned(),
        }).collect::<Vec<_>>(),
        "disks": status.disks.iter().map(disk).collect::<Vec<_>>(),
        "remarks": remarks(&status),
    });
    signed.page("admin/status.html", "status", "Status", content).await
}

/// The kinds of algorithms with their names; those that are weak say so.
fn algorithms(ssh: &SshServiceStatus) -> Value {
    let kinds = [
        ("Key exchange", "kex", "sftpd.kex_algorithms", &ssh.kex_algorithms),
        ("Ciphers", "cipher", "sftpd.ciphers", &ssh.ciphers),
        ("MACs", "mac", "sftpd.macs", &ssh.macs),
        (
            "Users\u{2019} keys",
            "public_key",
            "sftpd.public_key_algorithms",
            &ssh.public_key_algorithms,
        ),
    ];
    let kind = |(label, purpose, setting, names): (&str, &str, &str, &Vec<String>)| {
        let grade = |name: &String| {
            let is = |weak: &&WeakAlgorithm| weak.purpose == purpose && weak.name == *name;
            ssh.weak_algorithms.iter().find(is).map_or("", |weak| weak.weakness.grade)
        };
        let names: Vec<Value> =
            names.iter().map(|name| json!({ "name": name, "grade": grade(name) })).collect();
        json!({ "label": label, "purpose": purpose, "setting": setting, "names": names })
    };
    kinds.into_iter().map(kind).collect()
}

fn disk(disk: &DiskStatus) -> Value {
    let place = |place: &crate::web::operations::disks::DiskPlace| json!({ "held": held(&place.setting), "setting": place.setting, "path": place.path });
    json!({
        "places": disk.places.iter().map(place).collect::<Vec<_>>(),
        "total": disk.total,
        "free": disk.free,
        "free_percent": disk.free_percent(),
        "used_percent": 100 - disk.free_percent().min(100),
        "kind": disk_kind(disk.state),
        "error": disk.error,
    })
}

/// What the first line says besides that everything runs: text and where it leads.
fn remarks(status: &ServicesStatus) -> Value {
    let ssh = &status.ssh;
    let keys = ssh.host_keys.iter().filter(|key| key.weakness.is_some()).count();
    let algorithms = ssh.weak_algorithms.iter().filter(|one| one.purpose != "host_key").count();
    let disks = status.disks.iter().filter(|disk| !disk_kind(disk.state).is_empty()).count();
    let https = status.http.bindings.iter().chain(&status.telemetry.bindings);
    let states = https.filter_map(|binding| binding.certificate.as_ref().map(|one| one.state));
    let certificates = states
        .chain(ssh.host_certificates.iter().map(|certificate| certificate.state))
        .filter(|state| *state != CertificateState::Ok)
        .count();
    [
        (keys, "weak host key", "weak host keys", "#host-keys"),
        (algorithms, "weak algorithm", "weak algorithms", "#algorithms"),
        (certificates, "certificate to renew", "certificates to renew", "#certificates"),
        (disks, "disk to look at", "disks to look at", "#disks"),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, one, many, link)| {
        json!({ "told": text::plural(count as u64, one, many), "link": link })
    })
    .collect()
}
