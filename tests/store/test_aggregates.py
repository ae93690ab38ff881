"""People, extensions, meetings, tokens, administrators, registrations: what each allows and refuses."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from ringback.config import load_settings
from ringback.governance.private import Private
from ringback.governance.roles import Role
from ringback.store import schema
from ringback.store.errors import ConflictError, InvalidError, NotFoundError
from ringback.store.registrations import StoredRegistration
from ringback.store.rules import is_trivial_pin, new_password, new_pin
from ringback.store.store import open_store


async def test_only_digest_values_of_an_extension_are_kept(store):
    extension, password = await store.extensions.add("1001", password=Private("correct horse"))
    text = b"1001:ringback:correct horse"
    assert extension.ha1_md5.reveal() == hashlib.md5(text).hexdigest()
    assert extension.ha1_sha256.reveal() == hashlib.sha256(text).hexdigest()
    assert password.reveal() == "correct horse"


async def test_generated_passwords_are_long_and_readable(store):
    _, password = await store.extensions.add("1001")
    assert len(password.reveal()) >= 16
    assert not set(password.reveal()) & set("lio01IO")
    assert new_password() != new_password()


@pytest.mark.parametrize("number", ["1", "1234567", "01", "12a", "", "1 2", "+49", "١٢٣"])
async def test_extension_numbers_have_two_to_six_digits(store, number):
    with pytest.raises(InvalidError, match="2 to 6 digits"):
        await store.extensions.add(number)


@pytest.mark.parametrize("number", ["112", "911", "600", "700"])
async def test_emergency_and_service_numbers_are_not_given_away(store, number):
    with pytest.raises((InvalidError, ConflictError), match="choose another number"):
        await store.extensions.add(number)


async def test_a_countrys_own_emergency_numbers_are_not_given_away(tmp_path):
    settings = load_settings(environ={"RINGBACK_ROUTING__COUNTRY": "FR"}, data_dir=tmp_path / "france")
    store = await open_store(settings)
    with pytest.raises(InvalidError, match="15 is an emergency number"):
        await store.extensions.add("15")
    await store.close()


async def test_a_number_is_given_once(store):
    await store.extensions.add("1001")
    with pytest.raises(ConflictError, match="extension 1001 exists already"):
        await store.extensions.add("1001")


async def test_an_unknown_person_is_named_as_the_mistake(store):
    with pytest.raises(InvalidError, match="there is no person nobody"):
        await store.extensions.add("1001", person_id="nobody")


@pytest.mark.parametrize("password", ["", "short", "x" * 129, "with\nnewline", "with\0nul"])
async def test_weak_or_unprintable_passwords_are_refused(store, password):
    with pytest.raises(InvalidError) as caught:
        await store.extensions.add("1001", password=Private(password))
    assert not password or password not in str(caught.value)


async def test_changing_and_removing_an_extension(store):
    await store.extensions.add("1001", display_name="Ada")
    await store.extensions.change("1001", enabled=False)
    assert not store.directory.extension("1001").enabled
    before = store.extensions.get("1001").ha1_md5
    await store.extensions.set_password("1001")
    assert store.extensions.get("1001").ha1_md5 != before
    await store.extensions.remove("1001")
    assert store.directory.extension("1001") is None
    for attempt in (store.extensions.remove("1001"), store.extensions.set_password("1001")):
        with pytest.raises(NotFoundError, match="there is no extension 1001"):
            await attempt


async def test_a_person_leaves_and_the_extension_belongs_to_nobody(store):
    person = await store.people.add("  Ada Example ")
    assert person.name == "Ada Example"
    await store.extensions.add("1001", person_id=person.id)
    assert (await store.people.change(person.id, name="Ada B. Example")).name == "Ada B. Example"
    await store.people.remove(person.id)
    assert store.extensions.get("1001").person_id is None
    await store.reload()
    assert store.extensions.get("1001").person_id is None
    with pytest.raises(NotFoundError):
        store.people.get(person.id)
    for attempt in (store.people.remove(person.id), store.people.change(person.id, name="X")):
        with pytest.raises(NotFoundError):
            await attempt


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "two\nlines", "bell\a"])
async def test_names_are_one_printable_line(store, name):
    with pytest.raises(InvalidError):
        await store.meetings.add(name)
    with pytest.raises(InvalidError):
        await store.people.add(name)


async def test_a_meeting_has_a_nine_digit_number_and_two_pins(store):
    meetings = [await store.meetings.add(f"Meeting {n}") for n in range(5)]
    assert len({meeting.number for meeting in meetings}) == 5
    for meeting in meetings:
        assert len(meeting.number) == 9
        assert meeting.number.isdigit()
        assert meeting.number[0] != "0"
        assert meeting.guest_pin != meeting.host_pin
        assert len(meeting.guest_pin.reveal()) == len(meeting.host_pin.reveal()) == 6
        assert meeting.link_token != meeting.host_link_token
    assert store.meetings.all() == meetings


async def test_rotating_changes_the_pin_asked_for_and_nothing_else(store):
    before = await store.meetings.add("Weekly")
    after = await store.meetings.rotate_pin(before.number, "guest")
    assert after.guest_pin != before.guest_pin
    assert (after.number, after.host_pin, after.link_token) == (
        before.number,
        before.host_pin,
        before.link_token,
    )
    both = await store.meetings.rotate_pin(before.number)
    assert both.guest_pin != after.guest_pin
    assert both.host_pin != after.host_pin
    with pytest.raises(InvalidError, match="guest, host, both"):
        await store.meetings.rotate_pin(before.number, "all")


async def test_changing_and_removing_a_meeting(store):
    meeting = await store.meetings.add("Weekly")
    changed = await store.meetings.change(meeting.number, admission="lobby")
    assert (changed.name, changed.admission) == ("Weekly", "lobby")
    with pytest.raises(InvalidError, match="direct, lobby"):
        await store.meetings.change(meeting.number, admission="open")
    await store.meetings.remove(meeting.number)
    with pytest.raises(NotFoundError):
        store.meetings.get(meeting.number)
    with pytest.raises(NotFoundError):
        await store.meetings.change(meeting.number, name="X")


@pytest.mark.parametrize(
    "pin", ["111111", "123456", "987654", "890123", "121212", "123123", "112211", "210987"]
)
def test_trivial_pins_are_recognised(pin):
    assert is_trivial_pin(pin)


def test_new_pins_are_not_trivial():
    pins = {new_pin().reveal() for _ in range(500)}
    assert len(pins) > 490
    assert not [pin for pin in pins if is_trivial_pin(pin) or len(pin) != 6]


async def test_listeners_hear_of_each_change_after_it_is_kept(store):
    heard = []
    stop = store.on_change(heard.append)
    meeting = await store.meetings.add("Weekly")
    assert heard[-1].meeting(meeting.number) == meeting
    stop()
    await store.meetings.remove(meeting.number)
    assert len(heard) == 1


async def test_a_token_is_checked_by_what_it_is_and_until_it_is_revoked(store):
    token, secret = await store.tokens.add("helpdesk", name="ticket system")
    assert secret.reveal().startswith("rb_")
    assert store.tokens.check(secret) == token
    assert token.role is Role.HELPDESK
    assert store.tokens.check(Private(secret.reveal() + "x")) is None
    await store.tokens.revoke(token.id)
    assert store.tokens.check(secret) is None
    with pytest.raises(NotFoundError):
        await store.tokens.revoke(token.id)


async def test_an_expired_token_is_none(store):
    _, secret = await store.tokens.add("admin", valid_days=1)
    assert store.tokens.check(secret) is not None
    (token,) = store.tokens.all()
    assert token.valid_at(datetime.now(UTC) + timedelta(hours=23))
    assert not token.valid_at(datetime.now(UTC) + timedelta(hours=25))
    for wrong in ({"role": "root"}, {"role": "admin", "valid_days": 0}):
        with pytest.raises(InvalidError):
            await store.tokens.add(**wrong)


async def test_a_one_time_link_works_once(store):
    link = await store.logins.administrator_link()
    with pytest.raises(InvalidError, match="at least 12 characters"):
        await store.logins.choose_password(link, Private("too short"))
    administrator = await store.logins.choose_password(link, Private("a long enough one"))
    assert administrator.has_password
    with pytest.raises(NotFoundError, match="ringback admin link"):
        await store.logins.choose_password(link, Private("another long one"))
    assert await store.logins.check_password("admin", Private("a long enough one")) == administrator
    assert await store.logins.check_password("admin", Private("another long one")) is None
    assert await store.logins.check_password("nobody", Private("a long enough one")) is None


async def test_a_new_link_ends_the_older_and_both_end_after_a_day(store):
    old = await store.logins.administrator_link()
    new = await store.logins.administrator_link()
    assert not await store.logins.knows_link(old)
    assert await store.logins.knows_link(new)
    assert len(store.logins.all()) == 1
    async with store.database.write() as connection:
        await connection.execute(update(schema.login_links).values(expires_at=datetime.now(UTC)))
    assert not await store.logins.knows_link(new)


async def test_registrations_come_back_until_they_expire(store):
    now = datetime.now(UTC)
    here = StoredRegistration(
        "1001", now + timedelta(minutes=5), {"contact": "sip:1001@192.0.2.7:5060", "q": 0.5}
    )
    late = StoredRegistration("1001", now - timedelta(seconds=1), {"contact": "sip:1001@192.0.2.8"})
    other = StoredRegistration("1002", now + timedelta(minutes=5), {"contact": "sip:1002@192.0.2.9"})
    await store.registrations.save({"1001": [here, late], "1002": [other]})
    assert sorted(await store.registrations.load(), key=lambda r: r.number) == [here, other]
    await store.registrations.save({"1001": []})
    assert await store.registrations.load() == [other]


async def test_naive_times_are_refused(store):
    naive = StoredRegistration("1001", datetime.now(), {})
    with pytest.raises(Exception, match="needs a zone"):
        await store.registrations.save({"1001": [naive]})
