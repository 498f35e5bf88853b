"""What some of the mappings say, written as Python by hand: the yardstick of translate.py.

It makes the same resources and nothing else: no why, no problems, no tables but those of the set.
"""

from typing import Any

from fhirbridge.translate import identity
from fhirbridge.translate.mapping_set import MappingSet
from fhirbridge.translate.values import Site

Json = dict[str, Any]

SINGLE = {  # mapping -> field of the row, LOINC code
    "vital-heart-rate": ("heart_rate", "8867-4"),
    "vital-respiratory-rate": ("respiratory_rate", "9279-1"),
    "vital-temperature": ("temperature", "8310-5"),
    "vital-weight": ("weight", "29463-7"),
    "vital-height": ("height", "8302-2"),
    "vital-end-tidal-co2": ("etco2", "19889-5"),
}
MAPPINGS = (
    *SINGLE,
    "vital-mean-pressure",
    "vital-blood-pressure",
    "vital-oxygen-saturation",
    "condition",
    "encounter",
    "organization",
    "patient",
    "practitioner",
)
PROFILES = {  # where it has another name than the mapping
    "condition": "condition-encounter-diagnosis",
    "vital-end-tidal-co2": "vital-signs",
    "vital-height": "body-height",
    "vital-mean-pressure": "vital-signs",
    "vital-oxygen-saturation": "pulse-oximetry",
    "vital-temperature": "body-temperature",
    "vital-weight": "body-weight",
}
VISIT_STATUS = {"planned": "planned", "in-progress": "in-progress"} | dict.fromkeys(
    ("completed", "stopped-early"), "finished"
)
VISIT_CLASS = {"emergency": "EMER", "inpatient": "IMP", "home": "HH"}


def present(**elements: Any) -> Json:
    """Return the elements that are there; a trailing _ lets a Python word be a name."""
    return {name.rstrip("_"): value for name, value in elements.items() if value}


class ByHand:
    """Translates one record; `codes`, `units` and `maps` are the tables of the set."""

    def __init__(self, tables: MappingSet, site: Site, record: Json) -> None:
        self.tables = tables
        self.site = site
        self.record = record
        self.patient = self.ref("Patient", "patient", record["patient"]["id"])
        self.clinic = self.ref("Organization", "organization", record["clinic"]["id"])
        self.course = record["visit"].get("series") or record["session_id"]
        between = record["visit"]["kind"] == "between-visit"
        self.encounter = (
            None if between else self.ref("Encounter", "encounter", record["session_id"])
        )
        state = record.get("signed", {}).get("state", "preliminary")
        self.status = "preliminary" if state == "preliminary" else "final"
        self.staff: dict[str, Json] = {}

    def translate(self) -> list[Json]:
        """Make the resources of an active record."""
        record = self.record
        if record["status"] != "active":
            return []
        made = [self.of_condition(row) for row in record.get("conditions", ())]
        if self.encounter:
            made.append(self.of_encounter())
        made += [self.of_organization(), self.of_patient()]
        made += [self.of_practitioner(row) for row in record.get("staff", ())]
        for row in record.get("vitals", ()):
            made += self.of_vitals(row)
        return made

    def ref(self, kind: str, keyspace: str, *key: str) -> Json:
        own = identity.resource_id(self.site, kind, keyspace, *key)
        return {"reference": f"{kind}/{own}"}

    def whole(self, kind: str, keyspace: str, key: tuple[str, ...], body: Json) -> Json:
        own = identity.resource_id(self.site, kind, keyspace, *key)
        found = {"system": f"https://{self.site.host}/id/{keyspace}", "value": own}
        more = body.pop("identifier", ())
        profile = US_CORE + PROFILES.get(keyspace, keyspace.removeprefix("vital-"))
        head = {"resourceType": kind, "id": own, "meta": {"profile": [profile]}}
        return {**head, "identifier": [found, *more], **body}

    def coding(self, alias: str, code: str) -> Json:
        return dict(self.tables.codes.concept(alias, code).codings[0])

    def concept(self, alias: str, *codes: str) -> Json:
        return {"coding": [self.coding(alias, code) for code in codes]}

    def mapped(self, name: str, word: Any) -> Json | None:
        if word is None:
            return None
        if isinstance(word, dict):
            if "key" not in word:
                return given(word)
            word = word["key"]
        row = self.tables.maps[name].rows[word].concept
        return present(coding=[dict(coding) for coding in row.codings], text=row.text)

    def quantity(self, measure: Json | None, wanted: str = "") -> Json | None:
        if measure is None or measure.get("value") is None:
            return None
        value, unit = measure["value"], measure["unit"]
        units = self.tables.units
        if wanted:
            return units.quantity(units.convert(value, unit, wanted), wanted)
        return units.quantity(value, unit)

    def person(self, own: str | None) -> Json:
        if own is None:
            return self.clinic
        if own not in self.staff:
            self.staff[own] = self.ref("Practitioner", "practitioner", own)
        return self.staff[own]

    def of_vitals(self, row: Json) -> list[Json]:
        made = [
            self.of_single(mapping, code, row, row[field])
            for mapping, (field, code) in SINGLE.items()
            if field in row
        ]
        pressure = row.get("blood_pressure", {})
        if "mean" in pressure:
            made.append(self.of_single("vital-mean-pressure", "8478-0", row, pressure["mean"]))
        if "systolic" in pressure or "diastolic" in pressure:
            made.append(self.of_pressure(row, pressure))
        if "spo2" in row or "o2_flow" in row or "fio2" in row:
            made.append(self.of_saturation(row))
        return made

    def observation(self, mapping: str, row: Json, code: Json, measure: Json, **own: Any) -> Json:
        phase = row.get("phase")
        device = measure.get("device") or row.get("device")
        notes = [{"text": f"Phase of the visit: {phase}"}] if phase else []
        body = present(
            status=self.status,
            category=[self.concept("observation-category", "vital-signs")],
            code=code,
            subject=self.patient,
            encounter=self.encounter,
            effectiveDateTime=row["time"],
            performer=[self.person(row.get("taken_by"))],
            device=device and {"display": device},
            note=notes + own.pop("note", []),
            **own,
        )
        return self.whole("Observation", mapping, (self.record["session_id"], row["id"]), body)

    def value_of(self, measure: Json | None) -> Json:
        value = self.quantity(measure)
        if value:
            return {"valueQuantity": value}
        reason = (measure or {}).get("absent_reason", "unknown")
        return {"dataAbsentReason": self.mapped("absent-reason", reason)}

    def of_single(self, mapping: str, code: str, row: Json, measure: Json) -> Json:
        label = measure.get("label")
        return self.observation(
            mapping,
            row,
            self.concept("loinc", code),
            measure,
            method=self.mapped("measure-method", measure.get("method")),
            note=[{"text": f"Label: {label}"}] if label else [],
            **self.value_of(measure),
        )

    def of_pressure(self, row: Json, pressure: Json) -> Json:
        sides = (("8480-6", "systolic"), ("8462-4", "diastolic"))
        upper, lower = pressure.get("systolic", {}), pressure.get("diastolic", {})
        notes = [
            "label" in upper and f"Label, systolic: {upper['label']}",
            "label" in lower and f"Label, diastolic: {lower['label']}",
            "method" in upper and f"Systolic {upper['method']}",
            "method" in lower and f"Diastolic {lower['method']}",
        ]
        position = self.mapped("position", row.get("position"))
        url = "http://hl7.org/fhir/StructureDefinition/observation-bodyPosition"
        return self.observation(
            "vital-blood-pressure",
            row,
            self.concept("loinc", "85354-9"),
            {"device": upper.get("device") or lower.get("device")},
            note=[{"text": text} for text in notes if text],
            extension=[{"url": url, "valueCodeableConcept": position}] if position else None,
            component=[
                {"code": self.concept("loinc", code), **self.value_of(pressure.get(side))}
                for code, side in sides
            ],
        )

    def of_saturation(self, row: Json) -> Json:
        measure = row.get("spo2", {})
        code = self.concept("loinc", "59408-5", "2708-6")
        code["text"] = "Oxygen saturation by pulse oximetry"
        flow, share = self.quantity(row.get("o2_flow"), "L/min"), self.quantity(row.get("fio2"))
        oxygen = (("3151-8", flow), ("3150-0", share))
        label = measure.get("label")
        return self.observation(
            "vital-oxygen-saturation",
            row,
            code,
            measure,
            method=self.mapped("measure-method", measure.get("method")),
            note=[{"text": f"Label: {label}"}] if label else [],
            component=[
                {"code": self.concept("loinc", code), "valueQuantity": value}
                for code, value in oxygen
                if value
            ],
            **self.value_of(measure),
        )

    def of_condition(self, row: Json) -> Json:
        over = row.get("clinical_status", "active") in ("inactive", "remission", "resolved")
        mistaken = row.get("verification_status", "confirmed") == "entered-in-error"
        site = row.get("body_site", {})
        end = row.get("abatement")
        notes = [
            row.get("laterality") and f"Side: {row['laterality']}",
            row.get("role") == "history" and "From the history of the patient",
            end and not over and f"End as recorded: {end}",
        ]
        body = present(
            clinicalStatus=not mistaken
            and self.mapped("clinical-status", row.get("clinical_status")),
            verificationStatus=self.mapped("verification-status", row.get("verification_status")),
            category=[self.concept("condition-category", "encounter-diagnosis")],
            severity=self.mapped("severity", row.get("severity")),
            code=self.mapped("condition", row.get("code")),
            bodySite=[given(site)] if site else None,
            subject=self.patient,
            onsetDateTime=row.get("onset"),
            abatementDateTime=over and end,
            note=[{"text": text} for text in notes if text],
        )
        return self.whole("Condition", "condition", (self.course, row["id"]), body)

    def of_encounter(self) -> Json:
        visit, record = self.record["visit"], self.record
        reasons = [row for row in record.get("conditions", ()) if row.get("role") == "indication"]
        body = present(
            status=VISIT_STATUS.get(visit["status"], "cancelled"),
            class_=self.coding("act-code", VISIT_CLASS.get(visit.get("class"), "AMB")),
            type=[self.mapped("visit-kind", visit["kind"])],
            subject=self.patient,
            participant=[
                present(
                    type=[self.mapped("staff-role", member["role"])] if "role" in member else None,
                    individual=self.person(member["id"]),
                )
                for member in record.get("staff", ())
            ],
            period=present(start=visit.get("start"), end=visit.get("end")),
            reasonReference=[
                self.ref("Condition", "condition", self.course, row["id"]) for row in reasons
            ],
            hospitalization=present(
                dischargeDisposition=self.mapped("disposition", visit.get("disposition"))
            ),
            appointment=self.appointments(),
            location=[{"location": self.room()}] if "room" in visit else None,
            serviceProvider=self.clinic,
        )
        return self.whole("Encounter", "encounter", (record["session_id"],), body)

    def room(self) -> Json:
        record = self.record
        return self.ref("Location", "room", record["clinic"]["id"], record["visit"]["room"])

    def appointments(self) -> list[Json]:
        """Refer to the planned visits which this one was."""
        plan = self.record.get("plan", {})
        if plan.get("status") == "entered-in-error":
            return []
        return [
            self.ref("Appointment", "appointment", plan["id"], row["id"])
            for row in plan.get("visits", ())
            if row.get("session_id") == self.record["session_id"]
            and row["status"] != "entered-in-error"
            and "ehr_appointment" not in row
            and (row["status"] in ("proposed", "cancelled") or ("start" in row and "end" in row))
        ]

    def of_organization(self) -> Json:
        clinic = self.record["clinic"]
        own = f"https://{self.site.host}/id/rems-site"
        numbers = [
            (NPI, clinic.get("npi"), {}),
            (own, clinic.get("rems_site"), {"text": "REMS site number"}),
        ]
        phone = clinic.get("phone")
        body = present(
            identifier=[
                present(type=kind, system=system, value=value)
                for system, value, kind in numbers
                if value
            ],
            active=True,
            name=clinic.get("name"),
            telecom=[{"system": "phone", "value": phone}] if phone else None,
            address=[address(clinic["address"])] if "address" in clinic else None,
        )
        return self.whole("Organization", "organization", (clinic["id"],), body)

    def of_practitioner(self, row: Json) -> Json:
        npi, credentials = row.get("npi"), row.get("credentials")
        body = present(
            identifier=[{"system": NPI, "value": npi}] if npi else None,
            active=True,
            name=[name(row["name"])],
            qualification=[{"code": {"text": credentials}}] if credentials else None,
        )
        return self.whole("Practitioner", "practitioner", (row["id"],), body)

    def of_patient(self) -> Json:
        row = self.record["patient"]
        language = row.get("language")
        body = present(
            extension=origins(row),
            identifier=[*map(self.number, row.get("identifiers", ())), *self.rems_number(row)],
            active=True,
            name=[name(row["name"])],
            telecom=[
                present(system=one.get("system"), value=one.get("value"), use=one.get("use"))
                for one in row.get("telecom", ())
            ],
            gender=row.get("gender"),
            birthDate=row.get("birth_date"),
            deceasedDateTime=row.get("deceased_on"),
            address=[address(one) for one in row.get("address", ())],
            communication=language
            and [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": language}]}}],
        )
        return self.whole("Patient", "patient", (row["id"],), body)

    def number(self, row: Json) -> Json:
        assigner = row.get("assigner")
        return present(
            type=self.mapped("identifier-type", row.get("type")),
            system=row.get("system"),
            value=row.get("value"),
            period=present(start=row.get("start"), end=row.get("end")),
            assigner=assigner and {"display": assigner},
        )

    def rems_number(self, row: Json) -> list[Json]:
        if "rems_id" not in row:
            return []
        system = f"https://{self.site.host}/id/rems-patient"
        kind = {"text": "REMS patient number"}
        return [{"type": kind, "system": system, "value": row["rems_id"]}]


NPI = "http://hl7.org/fhir/sid/us-npi"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"


def given(coded: Json) -> Json:
    """Return a coded field's own code, or its text."""
    coding = present(**{key: coded.get(key) for key in ("system", "code", "display")})
    return present(coding=[coding]) if "code" in coded else present(text=coded.get("text"))


def name(row: Json) -> Json:
    """Return a HumanName."""
    return present(**{part: row.get(part) for part in ("family", "given", "prefix", "suffix")})


def address(row: Json) -> Json:
    """Return an Address."""
    parts = ("use", "line", "city", "district", "state", "country")
    return present(postalCode=row.get("postal_code"), **{part: row.get(part) for part in parts})


def origins(row: Json) -> list[Json]:
    """Return the extensions of race and ethnicity."""
    races = [one.get("text") or one.get("display") or one["code"] for one in row.get("race", ())]
    one = row.get("ethnicity")
    ethnicity = (one.get("text") or one.get("display") or one["code"]) if one else ""
    found = (("race", ", ".join(races)), ("ethnicity", ethnicity))
    return [
        {"url": f"{US_CORE}{kind}", "extension": [{"url": "text", "valueString": text}]}
        for kind, text in found
        if text
    ]
