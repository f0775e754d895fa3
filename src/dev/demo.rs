//! A small demo journal for each demo user.

use mock_auth::User;

use crate::{
    domain::journal::{JournalError, JournalOwner, NewEntry, NewTag},
    journal::{AddTagToEntry, CreateEntry, CreateTag, HasEntries, JournalHandle},
};
use resource_server::principal::UserId;

struct DemoEntry {
    title: &'static str,
    content: &'static str,
    mood: &'static str,
    location: Option<&'static str>,
    weather: Option<&'static str>,
    is_favorite: bool,
    tags: &'static [&'static str],
}

/// Writes a journal for every user who has none. Existing journals are not changed.
pub(super) async fn write(
    journal: &JournalHandle,
    issuer: &str,
    users: &[User],
) -> Result<(), JournalError> {
    for (user, entries) in users.iter().zip(JOURNALS) {
        let owner = JournalOwner {
            user: UserId::derive(issuer, &user.subject),
            issuer: issuer.to_owned(),
            subject: user.subject.clone(),
        };
        if journal.ask(HasEntries { user: owner.user }).await? {
            continue;
        }
        write_one(journal, &owner, entries).await?;
    }
    Ok(())
}

async fn write_one(
    journal: &JournalHandle,
    owner: &JournalOwner,
    entries: &[DemoEntry],
) -> Result<(), JournalError> {
    let mut tags = Vec::new();
    for entry in entries {
        let written = journal
            .ask(CreateEntry {
                owner: owner.clone(),
                entry: NewEntry {
                    title: entry.title.to_owned(),
                    content: entry.content.to_owned(),
                    mood: Some(entry.mood.to_owned()),
                    location: entry.location.map(str::to_owned),
                    weather: entry.weather.map(str::to_owned),
                    is_private: true,
                    is_favorite: entry.is_favorite,
                    tags: Vec::new(),
                },
                idempotency_key: None,
            })
            .await?;
        for name in entry.tags {
            let known = tags.iter().find(|(known, _)| *known == name);
            let tag_id = match known {
                Some((_, id)) => *id,
                None => {
                    let tag = NewTag {
                        name: (*name).to_owned(),
                        description: None,
                    };
                    let owner = owner.clone();
                    let made = journal
                        .ask(CreateTag {
                            owner,
                            tag,
                            idempotency_key: None,
                        })
                        .await?;
                    tags.push((name, made.id));
                    made.id
                }
            };
            journal
                .ask(AddTagToEntry {
                    user: owner.user,
                    entry_id: written.id,
                    tag_id,
                })
                .await?;
        }
    }
    Ok(())
}

const JOURNALS: [&[DemoEntry]; 3] = [
    &[
        DemoEntry {
            title: "The allotment, week one",
            content: "Cleared the bramble corner and found the old rhubarb under it, alive. Borrowed Iris's fork; the handle is loose.",
            mood: "tired, pleased",
            location: Some("Plot 14"),
            weather: Some("drizzle"),
            is_favorite: false,
            tags: &["garden"],
        },
        DemoEntry {
            title: "Sourdough, fourth attempt",
            content: "Let the dough prove overnight in the cold pantry. A real crumb at last. Note: 78 % water is as far as this flour goes.",
            mood: "triumphant",
            location: Some("Home"),
            weather: None,
            is_favorite: true,
            tags: &["kitchen", "experiments"],
        },
        DemoEntry {
            title: "Train to the coast",
            content: "Read half of the lighthouse book and looked out of the window for the other half. The sea was the colour of slate.",
            mood: "calm",
            location: Some("Northbound, coach C"),
            weather: Some("clearing"),
            is_favorite: false,
            tags: &["travel", "books"],
        },
        DemoEntry {
            title: "Bean trellis",
            content: "Hazel rods, twine, and an hour more than planned. It leans, but so do I.",
            mood: "cheerful",
            location: Some("Plot 14"),
            weather: Some("sun"),
            is_favorite: false,
            tags: &["garden", "experiments"],
        },
    ],
    &[
        DemoEntry {
            title: "First rehearsal",
            content: "The second violins came in a bar early, twice, and laughed about it. Good people. The slow movement needs more air.",
            mood: "hopeful",
            location: Some("School hall"),
            weather: None,
            is_favorite: true,
            tags: &["music"],
        },
        DemoEntry {
            title: "Dentist",
            content: "Nothing to report, which is the best report. Walked home along the canal; herons.",
            mood: "relieved",
            location: Some("Canal path"),
            weather: Some("fog"),
            is_favorite: false,
            tags: &["health"],
        },
        DemoEntry {
            title: "A tune that will not leave",
            content: "Woke up with eight bars in D minor. Wrote them on the back of the gas bill before they went.",
            mood: "restless",
            location: None,
            weather: None,
            is_favorite: false,
            tags: &["music", "ideas"],
        },
    ],
    &[
        DemoEntry {
            title: "Night shift, quiet",
            content: "Three calls before midnight, none after. Taught Sam the crossword trick with the plurals.",
            mood: "steady",
            location: Some("Station 6"),
            weather: Some("clear, cold"),
            is_favorite: false,
            tags: &["work"],
        },
        DemoEntry {
            title: "Ten kilometres",
            content: "Fifty-eight minutes. The hill by the mill is still the hill by the mill.",
            mood: "proud",
            location: Some("Mill loop"),
            weather: Some("wind from the west"),
            is_favorite: true,
            tags: &["running"],
        },
        DemoEntry {
            title: "Letter to Grandmother",
            content: "Answered all her questions in order, and asked about the pear tree. Enclosed the photograph from the lake.",
            mood: "warm",
            location: Some("Kitchen table"),
            weather: Some("rain on the roof"),
            is_favorite: false,
            tags: &["family"],
        },
    ],
];
