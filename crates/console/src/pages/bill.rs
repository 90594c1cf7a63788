//! The provider's bill against the ledger, for each account.

use crate::page::{Answer, Frame, Section, Viewer, filled, page};
use crate::show::{self, Tone};
use crate::texts::EN;
use askama::Template;
use axum::extract::Query;
use inventiv_core::bill::BillFinding;
use inventiv_types::{Account, Bill, BilledResource, OfMonth};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "bill.html")]
struct BillPage {
    frame: Frame,
    month: String,
    bills: Vec<AccountBill>,
}

/// The bill of an account, or why it cannot be compared.
struct AccountBill {
    account: Account,
    bill: Result<Bill, String>,
}

impl AccountBill {
    fn badge(resource: &BilledResource) -> show::Markup {
        let tone = match resource.finding {
            BillFinding::NotCounted => Tone::Bad,
            BillFinding::Differs | BillFinding::NotBilled => Tone::Busy,
            BillFinding::Agrees | BillFinding::NotOurs => Tone::Good,
        };
        show::badge(resource.finding.text(), tone)
    }

    /// What a person may want to look at.
    fn noticed(bill: &Bill) -> impl Iterator<Item = &BilledResource> {
        bill.resources.iter().filter(|r| r.finding != BillFinding::Agrees)
    }
}

/// The month.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    month: Option<String>,
}

/// The page. It asks the provider, so it is not renewed by itself.
pub(crate) async fn show(viewer: Viewer, Query(asked): Query<Asked>) -> Answer {
    let month = filled(asked.month);
    let mut bills = Vec::new();
    for account in viewer.accounts().await? {
        let query = OfMonth { month: month.clone(), account: Some(account.id.clone()) };
        let bill = viewer.api.get("/bill", &query).await;
        bills.push(AccountBill { account, bill: bill.map_err(|refusal| refusal.text) });
    }
    let frame = viewer.frame(Section::Costs, EN.bill);
    page(&BillPage { frame, month: month.unwrap_or_default(), bills })
}
