"""What was deleted or changed of people, extensions, devices, trunks and meetings, and is taken back."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from ringback.governance.private import Private
from ringback.governance.roles import Role
from ringback.governance.totp import code_at, step_of
from ringback.store.changes import ACCOUNT_KINDS, KEPT_DAYS
from ringback.store.devices import is_password
from ringback.store.errors import ConflictError, NotFoundError
from ringback.store.store import open_store

SECRETS = ("only-for-1001", "only-for-the-desk", "only-for-the-carrier")


@pytest.fixture
async def office(store):
    """Ada with 1001, a desk phone, a mailbox and a login; and a trunk."""
    store.holdings.today = lambda: "2026-01-10"
    ada = await store.people.add("Ada", e_mail="ada@example.com", site="Berlin")
    await store.extensions.add("1001", display_name="Ada", person_id=ada.id, password=Private(SECRETS[0]))
    device, _ = await store.devices.add("Desk", "1001", mac="001565abcdef", password=Private(SECRETS[1]))
    await store.objects.put("mailbox", "1001", {"e_mail": "ada@example.com"}, "eve")
    await store.objects.put("answering", "1001", {"always": "outside:+15550100"}, "eve")
    _, link = await store.logins.add("ada@example.com", Role.USER, ada.id)
    await store.logins.choose_password(link, Private("correct horse battery"))
    await store.trunks.add("carrier", {"host": "sip.example.com", "username": "u"}, Private(SECRETS[2]))
    return ada.id, device


async def latest(store, kind=""):
    return (await store.history.page(ACCOUNT_KINDS, kind))[0]


async def undo_latest(store, kind=""):
    return await store.history.undo((await latest(store, kind)).id, "eve")


async def test_an_extension_comes_back_with_all_that_went_with_it(store, office, settings):
    ada, device = office
    before = store.directory
    holdings = store.holdings.of("1001")
    await store.extensions.remove("1001", "eve")
    assert store.directory.extensions == store.directory.devices == {}
    undone = await undo_latest(store, "extension")
    assert (undone.kind, undone.name, undone.notes) == ("extension", "1001", ())
    assert store.directory == before
    assert store.holdings.of("1001") == holdings
    assert store.people.numbers(ada) == ("1001",)
    assert is_password(store.devices.get("Desk"), Private(SECRETS[1]))
    assert store.objects.get("answering", "1001").value.always == "outside:+15550100"
    await store.close()
    again = await open_store(settings)
    assert again.directory == before
    assert again.devices.get("Desk") == device
    await again.close()


async def test_a_number_that_was_given_away_stays_so(store, office):
    await store.extensions.remove("1001", "eve")
    gone = await latest(store, "extension")
    await store.extensions.add("1001", display_name="Bob")
    with pytest.raises(ConflictError, match="1001 is the number of extension 1001"):
        await store.history.undo(gone.id, "eve")
    await store.extensions.remove("1001", "eve")
    await store.objects.put("group", "sales", {"number": "1001", "members": []}, "eve")
    with pytest.raises(ConflictError, match="1001 is the number of group sales"):
        await store.history.undo(gone.id, "eve")
    assert store.directory.extensions == {}


async def test_what_does_not_fit_any_more_stays_away_and_is_named(store, office):
    await store.objects.put("group", "sales", {"members": []}, "eve")
    await store.objects.put("answering", "1001", {"always": "group:sales"}, "eve")
    await store.extensions.remove("1001", "eve")
    gone = await latest(store, "extension")
    await store.objects.remove("group", "sales", "eve")
    await store.people.remove(office[0])
    await store.extensions.add("1002")
    await store.devices.add("Desk", "1002")
    undone = await store.history.undo(gone.id, "eve")
    assert len(undone.notes) == 3
    for part, note in zip(("Desk", "person", "answering"), undone.notes, strict=True):
        assert part in note
    assert store.extensions.get("1001").person_id is None
    assert store.objects.get("mailbox", "1001")
    assert store.devices.get("Desk").extension == "1002"


async def test_a_person_comes_back_with_login_and_free_extensions(store, office):
    ada, _ = office
    await store.extensions.add("1002", person_id=ada)
    bob = await store.people.add("Bob")
    holdings = store.holdings.of("1001")
    await store.people.remove(ada, "eve")
    assert store.extensions.get("1001").person_id is None
    await store.extensions.change("1002", person_id=bob.id)
    undone = await undo_latest(store, "person")
    assert (undone.title, undone.notes) == ("Ada", ("somebody else holds 1002 now",))
    assert store.people.numbers(ada) == ("1001",)
    assert store.holdings.of("1001") == holdings
    assert store.people.numbers(bob.id) == ("1002",)
    login = await store.logins.check_password("ada@example.com", Private("correct horse battery"))
    assert login is not None
    assert login.person_id == ada


async def test_who_comes_back_needs_the_second_factor_as_before(store, office):
    ada, _ = office
    (login,) = store.logins.all()
    secret = await store.second_factors.begin(login.id)
    now = datetime.now(UTC)
    await store.second_factors.confirm(login.id, code_at(secret, step_of(now.timestamp())), now)
    await store.people.remove(ada, "eve")
    await undo_latest(store, "person")
    assert store.second_factors.has(login.id)
    later = now + timedelta(seconds=30)
    assert not await store.second_factors.check(login.id, code_at(secret, step_of(now.timestamp())), later)
    assert await store.second_factors.check(login.id, code_at(secret, step_of(later.timestamp())), later)


async def test_changes_are_taken_back_field_by_field(store, office):
    ada, _ = office
    await store.people.change(ada, "eve", site="Paris")
    await store.people.change(ada, "eve", name="Ada E.")
    site, name = [each.id for each in await store.history.page(ACCOUNT_KINDS, "person")][::-1]
    await store.history.undo(site, "eve")
    assert (store.people.get(ada).name, store.people.get(ada).site) == ("Ada E.", "Berlin")
    await store.history.undo(name, "eve")
    assert store.people.get(ada).name == "Ada"

    await store.devices.change("Desk", "eve", enabled=False, name="Old desk")
    await store.devices.set_password("Old desk", Private("another-password"))
    await undo_latest(store, "device")
    back = store.devices.get("Desk")
    assert back.enabled
    # A password that was changed for a reason is not put back.
    assert is_password(back, Private("another-password"))

    bob = await store.people.add("Bob")
    await store.extensions.change("1001", person_id=bob.id, display_name="Bob", by="eve")
    await undo_latest(store, "extension")
    assert (store.extensions.get("1001").person_id, store.extensions.get("1001").display_name) == (ada, "Ada")

    await store.trunks.change("carrier", {"host": "sip.example.org", "dids": {"+15550100": "1001"}}, by="eve")
    await undo_latest(store, "trunk")
    assert (store.trunks.get("carrier").host, dict(store.trunks.get("carrier").dids)) == (
        "sip.example.com",
        {},
    )


async def test_trunks_and_devices_come_back_with_their_passwords(store, office):
    _, device = office
    trunk = store.trunks.get("carrier")
    await store.trunks.remove("carrier", "eve")
    await store.devices.remove("Desk", "eve")
    revision = await latest(store, "trunk")
    await store.history.undo(revision.id, "eve")
    await undo_latest(store, "device")
    assert store.trunks.get("carrier") == trunk
    assert store.devices.get("Desk") == device
    with pytest.raises(ConflictError, match="there is another trunk carrier"):
        await store.history.undo(revision.id, "eve")
    # To take back that it came back is to delete it.
    await undo_latest(store, "trunk")
    with pytest.raises(NotFoundError):
        store.trunks.get("carrier")


async def test_a_meeting_comes_back_with_its_number_pins_and_links(store, settings):
    made = await store.meetings.add("Weekly")
    await store.meetings.change(made.number, "eve", name="Monthly", admission="lobby")
    await undo_latest(store, "meeting")
    assert store.meetings.get(made.id) == made
    await store.meetings.remove(made.number, "eve")
    revision = await latest(store, "meeting")
    assert set(revision.before) == {"number", "name", "admission"}
    undone = await store.history.undo(revision.id, "eve")
    assert (undone.kind, undone.name, undone.title) == ("meeting", made.id, "Weekly")
    assert store.meetings.get(made.number) == made
    with pytest.raises(ConflictError, match="the meeting is there"):
        await store.history.undo(revision.id, "eve")
    await store.close()
    again = await open_store(settings)
    assert again.meetings.get(made.number) == made
    await again.meetings.remove(made.id, "eve", for_good=True)
    assert await again.history.page(ACCOUNT_KINDS, "meeting") == []
    await again.close()


async def test_no_secret_is_in_the_history_in_clear(store, office):
    meeting = await store.meetings.add("Weekly")
    inside = (meeting.guest_pin, meeting.host_pin, meeting.link_token, meeting.host_link_token)
    await store.meetings.remove(meeting.number, "eve")
    hashes = [
        secret.reveal()
        for account in (store.extensions.get("1001"), store.devices.get("Desk"))
        for secret in (account.ha1_md5, account.ha1_sha256)
    ]
    await store.extensions.remove("1001", "eve")
    await store.trunks.remove("carrier", "eve")
    async with store.database.read() as connection:
        rows = (await connection.execute(text("SELECT * FROM account_history"))).all()
    assert len(rows) == 3
    for secret in (*SECRETS, *hashes, *(one.reveal() for one in inside)):
        assert secret not in str(rows)


async def test_nothing_is_kept_for_good_or_after_its_time(store, office):
    ada, _ = office
    await store.people.change(ada, "eve", site="Paris")
    await store.people.remove(ada, "eve", for_good=True)
    await store.extensions.remove("1001", "eve", for_good=True)
    assert await store.history.page(ACCOUNT_KINDS, "person") == []
    await store.trunks.remove("carrier", "eve")
    await store.changes.expire(datetime.now(UTC) + timedelta(days=KEPT_DAYS - 1))
    trunk = await latest(store, "trunk")
    await store.changes.expire(datetime.now(UTC) + timedelta(days=KEPT_DAYS, minutes=1))
    with pytest.raises(NotFoundError, match=f"there is no revision {trunk.id}"):
        await store.history.undo(trunk.id, "eve")


async def test_one_history_has_the_plan_too_in_one_order(store, office):
    await store.trunks.change("carrier", {"priority": 1}, by="eve")
    await store.objects.put("group", "sales", {"members": ["1001"]}, "eve")
    await store.trunks.change("carrier", {"priority": 2}, by="eve")
    found = await store.history.page(ACCOUNT_KINDS, limit=3)
    assert [each.kind for each in found] == ["trunk", "group", "trunk"]
    assert [each.id for each in found] == sorted({each.id for each in found}, reverse=True)
    assert (await store.history.page(("person",), before=found[0].id, limit=1))[0].kind == "group"
    undone = await store.history.undo(found[1].id, "eve")
    assert (undone.kind, undone.name) == ("group", "sales")
    with pytest.raises(NotFoundError):
        store.objects.get("group", "sales")


async def mailbox_with_a_message(store):
    extension = store.extensions.get("1001")
    mailbox = await store.mailboxes.ensure("1001", extension.id, extension.person_id)
    voice = await store.mailboxes.begin_message(mailbox, 8000, Private("+15550100"))
    await store.mailboxes.deliver(voice.id, 2000, urgent=False, keep_until=None)


async def test_messages_come_back_to_the_same_person_alone(store, office):
    ada, _ = office
    await mailbox_with_a_message(store)
    await store.extensions.remove("1001", "eve")
    await store.mailboxes.archive("1001")
    await undo_latest(store, "extension")
    assert store.mailboxes.of("1001").counts.all == 1
    assert store.mailboxes.of("1001").person_id == ada

    # Who holds it next sees nothing of it, and what was taken away then stays away.
    bob = await store.people.add("Bob")
    await store.extensions.change("1001", person_id=bob.id, by="eve")
    await store.mailboxes.archive("1001")
    await store.extensions.remove("1001", "eve")
    await undo_latest(store, "extension")
    assert store.extensions.get("1001").person_id == bob.id
    assert store.mailboxes.of("1001") is None
