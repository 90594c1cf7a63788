//! Audits in both directions, and the evidence that an instance is gone.

use crate::backend::segment;
use crate::page::{Answer, Failure, Frame, Section, Viewer, go_to, page, refused};
use crate::show::{self, Tone};
use crate::texts::EN;
use askama::Template;
use axum::extract::{Form, Path};
use inventiv_types::{
    Account, Audit, AuditRequest, Certainty, CleanupState, Finding, FindingKind, Instance, InstanceProof,
    ListInstances, OfAccount, Page, ResourceProof, Status, Verdict, ZoneAudit,
};
use serde::Deserialize;

/// How many instances that ended are listed.
const ENDED_SHOWN: u32 = 50;

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    audits: Vec<AccountAudit>,
    ended: Vec<Instance>,
    more_ended: bool,
}

/// The audit of an account, or why there is none.
struct AccountAudit {
    account: Account,
    audit: Result<Audit, String>,
}

impl AccountAudit {
    fn tone(audit: &Audit) -> Tone {
        match audit.verdict {
            Verdict::Clean => Tone::Good,
            Verdict::Findings => Tone::Bad,
            Verdict::Inconclusive => Tone::Busy,
        }
    }

    fn verdict(audit: &Audit) -> show::Markup {
        let word = match audit.verdict {
            Verdict::Clean => "clean",
            Verdict::Findings => "findings",
            Verdict::Inconclusive => "inconclusive",
        };
        show::badge(word, Self::tone(audit))
    }

    fn findings(audit: &Audit) -> impl Iterator<Item = (&ZoneAudit, &Finding)> {
        audit.zones.iter().flat_map(|zone| zone.findings.iter().map(move |finding| (zone, finding)))
    }
}

pub(crate) fn finding_badge(kind: &FindingKind) -> show::Markup {
    let kind = *kind;
    show::badge(kind.text(), if kind == FindingKind::Orphan { Tone::Bad } else { Tone::Busy })
}

/// The page.
pub(crate) async fn show(viewer: Viewer) -> Answer {
    page(&read(&viewer).await?)
}

async fn read(viewer: &Viewer) -> Result<AuditPage, Failure> {
    let mut audits = Vec::new();
    for account in viewer.accounts().await? {
        let audit = viewer.api.get("/audit", &OfAccount { account: Some(account.id.clone()) }).await;
        audits.push(AccountAudit { account, audit: audit.map_err(|refusal| refusal.text) });
    }
    let words: Vec<&str> = Status::ALL.iter().filter(|s| s.is_final()).map(|s| s.text()).collect();
    let query = ListInstances {
        status: Some(words.join(",")),
        newest_first: Some(true),
        limit: Some(ENDED_SHOWN),
        ..ListInstances::default()
    };
    let ended: Page<Instance> = viewer.api.get("/instances", &query).await?;
    Ok(AuditPage {
        frame: viewer.frame(Section::Audit, EN.audit),
        audits,
        more_ended: ended.next.is_some(),
        ended: ended.items,
    })
}

/// The account to audit.
#[derive(Deserialize)]
pub(crate) struct Request {
    account: String,
}

/// Requests an audit now.
pub(crate) async fn request(viewer: Viewer, Form(form): Form<Request>) -> Answer {
    let path = format!("/audit?account={}", segment(&form.account));
    match viewer.api.post::<Audit>(&path, &AuditRequest::default(), None).await {
        Ok(_) => Ok(go_to("/console/audit")),
        Err(refusal) if refusal.is_unauthorized() => Err(Failure::LoggedOut),
        Err(refusal) => {
            let mut shown = read(&viewer).await?;
            shown.frame.error = Some(refusal.text);
            refused(&shown, refusal.status)
        }
    }
}

#[derive(Template)]
#[template(path = "proof.html")]
struct ProofPage {
    frame: Frame,
    name: String,
    p: InstanceProof,
    path: String,
}

impl ProofPage {
    fn is_provisional(&self) -> bool {
        self.p.certainty == Some(Certainty::Provisional)
    }

    fn state(resource: &ResourceProof) -> show::Markup {
        let (word, tone) = match resource.cleanup_state {
            CleanupState::Gone => ("proven gone", Tone::Good),
            CleanupState::Kept => ("kept", Tone::Idle),
            CleanupState::Given => ("given to another instance", Tone::Idle),
            CleanupState::Foreign => ("not ours", Tone::Idle),
            CleanupState::NeverMade => ("never made", Tone::Idle),
            CleanupState::Watched => ("watched", Tone::Busy),
            CleanupState::Open => ("not proven", Tone::Bad),
        };
        show::badge(word, tone)
    }
}

/// The evidence of one instance's end, to be printed.
pub(crate) async fn proof(viewer: Viewer, Path(id): Path<String>) -> Answer {
    let path = format!("/instances/{}", segment(&id));
    let p: InstanceProof = viewer.api.get(&format!("{path}/proof"), &()).await?;
    let detail: inventiv_types::InstanceDetail = viewer.api.get(&path, &()).await?;
    page(&ProofPage {
        frame: viewer.frame(Section::Audit, EN.proof),
        name: detail.instance.name,
        path: format!("/console/instances/{}", segment(&p.instance_id)),
        p,
    })
}
