"""Every code that a finding may have, and what to do about it. The page of users is made of this.

The first digit says what happens: 1 and 4 refuse the record, 2 holds one element, 3 warns.
"""

from collections.abc import Mapping

CODES: Mapping[str, tuple[str, str]] = {
    "R101": ("a field that every record needs is missing", "add it"),
    "R102": ("a value of another kind: a text where a number belongs, a list for an object",
             "the message says which kind"),
    "R103": ("a field is null", "leave the field out"),
    "R104": (("a text is empty, too long or holds control characters, a number has too many "
              "digits, a list too many rows"), "shorten or split it"),
    "R105": ("a field that a record does not have", "the message names the nearest one"),
    "R106": ("a word that is not in a closed list", "the message names the nearest, or all"),
    "R107": ("a key that its table does not have",
             "use the nearest key, or send text, or system with code"),
    "R108": ("a coded field says nothing, half of something, or several things",
             "say one of key, system with code, text"),
    "R110": ("not a date or time of the form that FHIR has", "write it like the example"),
    "R111": ("not an IANA time zone", "such as America/New_York"),
    "R112": ("a local time that happens twice or never, since clocks change", "give its offset"),
    "R113": ("a time without offset, and the clinic has no zone", "add clinic.zone, or the offset"),
    "R114": ("an id stands on two rows of one list", "give each row its own, the same for ever"),
    "R115": ("an id names no row of this record, or one that was taken back",
             "mend the id, or take it out"),
    "R118": ("amends is not an earlier version", "name the version that this one corrects"),
    "R199": ("more errors than are listed", "mend those that are, and send again"),
    "R201": ("a measure without a unit", "add the unit as it was read"),
    "R202": ("a unit that is not known", "the message names the nearest"),
    "R203": ("a unit of another kind, such as mmHg for a dose", "the message names units that fit"),
    "R204": ("a measure with neither value nor reason", "add one of them"),
    "R205": ("a value and the reason why there is none", "take one of them out"),
    "R206": ("a number below zero", "check the reading"),
    "R207": ("a reading that no body or monitor can show, such as a saturation of 137",
             "check reading and unit; a crisis is not held"),
    "R208": ("an answer that the item does not have, such as a 4 in the PHQ-9",
             "check the answer"),
    "R209": ("a score outside the range of its instrument", "check score, version and subscale"),
    "R210": ("an end before its start, or a low above its high", "check both"),
    "R211": ("a total that the answers do not add up to", "check both"),
    "R212": ("an item number that the instrument does not have", "check number and version"),
    "R213": ("two answers to one item", "take one out"),
    "R214": ("a row with nothing left in it", "mend what is held in it"),
    "R215": ("a provider number whose check digit does not fit", "check the number"),
    "R216": ("a date of birth after the visit", "check both"),
    "R217": (("a witness who is the one who gave the drug or counted it, also on a second staff "
              "row with the same provider number"), "name another person"),
    "R218": ("a question of the screen asked twice, with different answers",
             "keep the right one; a yes is never held"),
    "R220": ("a reference to a row that is held itself", "mend that row"),
    "R301": ("a reading outside the usual bounds", "nothing, if it is true"),
    "R302": ("diastolic not below systolic", "check that they are not swapped"),
    "R303": ("a dose outside the usual range of its route", "nothing, if it is true"),
    "R304": ("a rate outside the usual range", "nothing, if it is true"),
    "R305": ("an infusion shorter or longer than usual", "nothing, if it is true"),
    "R306": ("rate times time is more than 5 % off the dose", "check rates, pauses and dose"),
    "R307": ("a dose in the clinic, outside the visit", "check the times, or the setting"),
    "R308": ("an infusion that was never closed", "write down when it stopped; nobody else will"),
    "R309": ("no blood pressure about 40 minutes after nasal esketamine", "add it, if taken"),
    "R310": ("less than two hours of observation after nasal esketamine", "check the times"),
    "R311": ("dose per weight times weight is more than 5 % off the dose", "check the three"),
    "R312": ("a dose above the cap of its order", "check both"),
    "R313": ("the devices do not add up to the dose", "check both"),
    "R314": ("a rate that runs outside its administration", "check the times"),
    "R315": ("two rates at once", "check the times"),
    "R316": ("a time later than recorded_at", "check the clocks"),
    "R317": ("the last blood pressure before the dose is above the clinic's own limit",
             "nothing, if it is true"),
    "R318": ("discharged before a criterion was met, or without a word that it was",
             "say met and when, or against_advice"),
    "R319": ("watched for less time than minutes_required", "check the times"),
    "R320": ("a dose not given, without a reason", "add status_reason"),
    "R321": ("an active consent without signed_at", "add it"),
    "R322": ("an instrument without key and without min and max",
             "add them; totals are then checked"),
    "R323": ("waste, a return or a loss without a witness", "add the witness"),
    "R324": ("thoughts of suicide, and no safety plan that was reviewed",
             "add observation_period.safety_plan"),
    "R325": ("contraindications that nobody checked; that is never the same as no",
             "check them, or answer not-checked"),
    "R326": ("a contraindication without an answer", "answer it; it is shown as not checked"),
    "R327": ("suitable without precautions, and a contraindication is answered yes",
             "check the decision"),
    "R328": ("not pregnant by the screen, and a pregnancy test is positive", "check both"),
    "R329": ("resistant depression with fewer than two adequate treatments that failed",
             "add them to prior_treatments"),
    "R330": ("home with escort, and no escort was present", "check the disposition"),
    "R331": ("a drug was given for an event, and no dose is named", "add action.administration"),
    "R332": ("a dose in a visit that did not take place", "check the visit's status"),
    "R333": ("subscales that add up to more than the total", "check both"),
    "R334": ("waste without an amount", "add it; else the ledger cannot add up"),
    "R335": ("a dose given to a patient found unsuitable", "check the decision"),
    "R336": ("the id of a row holds the patient's id",
             "use an id of the row alone: patients are merged"),
    "R337": ("a row labelled psychotherapy-note that is no note: nothing of it is sent",
             "take the label off, or tell the reader of the chart another way"),
    "R341": ("a count that the books do not have, and no loss that names it", "add the loss"),
    "R342": ("a theft, and nobody was told", "add reported_to and reported_at"),
    "R343": ("a vial that was returned or lost stands in another state", "mend one of them"),
    "R401": ("a cell of a flat export that cannot be read, or a row of no visit",
             "mend the cell or the column map"),
}  # fmt: skip
EFFECTS = (
    ("Errors", "14", ("The record is refused, with everything that is wrong in it, and kept aside "
     "sealed. Nothing of it is sent.")),
    ("Held elements", "2", ("One element cannot be true. It is left out and counted; the rest goes "
     "on, and what an EHR was sent before stays there.")),
    ("Warnings", "3", "Unusual, and perhaps true. It is sent as it is, shown and counted."),
)  # fmt: skip


def page() -> str:
    """Return the page of users, in Markdown."""
    lines = [
        "# What a check may find",
        "",
        "`fhirbridge record check FILES` and every answer to a record that is sent name each",
        "finding by a JSON Pointer into the record, a code that never changes its meaning, and a",
        "sentence. Bytes that are no JSON are refused with E101, a version that was taken in with",
        "other content with E201, a session that changes its patient with E202, unless it was",
        "taken back from the first one (`fhirbridge incident`), a later version of a session that",
        "was purged after its time with E248.",
    ]
    for title, digits, effect in EFFECTS:
        lines += ["", f"## {title}", effect, "", "| code | found | what to do |", "|---|---|---|"]
        lines += [
            f"| {code} | {found} | {way} |"
            for code, (found, way) in CODES.items()
            if code[1] in digits
        ]
    return "\n".join([*lines, ""])
