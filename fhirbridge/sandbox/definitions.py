"""What the sandbox knows of FHIR R4 4.0.1: type names, and where three search parameters look.

Source: the R4 resource list and search parameter registry (hl7.org/fhir/R4, CC0).
"""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


RESOURCE_TYPES = _names(
    """
    Account ActivityDefinition AdverseEvent AllergyIntolerance Appointment AppointmentResponse
    AuditEvent Basic Binary BiologicallyDerivedProduct BodyStructure Bundle CapabilityStatement
    CarePlan CareTeam CatalogEntry ChargeItem ChargeItemDefinition Claim ClaimResponse
    ClinicalImpression CodeSystem Communication CommunicationRequest CompartmentDefinition
    Composition ConceptMap Condition Consent Contract Coverage CoverageEligibilityRequest
    CoverageEligibilityResponse DetectedIssue Device DeviceDefinition DeviceMetric DeviceRequest
    DeviceUseStatement DiagnosticReport DocumentManifest DocumentReference
    EffectEvidenceSynthesis Encounter Endpoint EnrollmentRequest EnrollmentResponse
    EpisodeOfCare EventDefinition Evidence EvidenceVariable ExampleScenario ExplanationOfBenefit
    FamilyMemberHistory Flag Goal GraphDefinition Group GuidanceResponse HealthcareService
    ImagingStudy Immunization ImmunizationEvaluation ImmunizationRecommendation
    ImplementationGuide InsurancePlan Invoice Library Linkage List Location Measure
    MeasureReport Media Medication MedicationAdministration MedicationDispense
    MedicationKnowledge MedicationRequest MedicationStatement MedicinalProduct
    MedicinalProductAuthorization MedicinalProductContraindication MedicinalProductIndication
    MedicinalProductIngredient MedicinalProductInteraction MedicinalProductManufactured
    MedicinalProductPackaged MedicinalProductPharmaceutical MedicinalProductUndesirableEffect
    MessageDefinition MessageHeader MolecularSequence NamingSystem NutritionOrder Observation
    ObservationDefinition OperationDefinition OperationOutcome Organization
    OrganizationAffiliation Parameters Patient PaymentNotice PaymentReconciliation Person
    PlanDefinition Practitioner PractitionerRole Procedure Provenance Questionnaire
    QuestionnaireResponse RelatedPerson RequestGroup ResearchDefinition
    ResearchElementDefinition ResearchStudy ResearchSubject RiskAssessment RiskEvidenceSynthesis
    Schedule SearchParameter ServiceRequest Slot Specimen SpecimenDefinition StructureDefinition
    StructureMap Subscription Substance SubstanceNucleicAcid SubstancePolymer SubstanceProtein
    SubstanceReferenceInformation SubstanceSourceMaterial SubstanceSpecification SupplyDelivery
    SupplyRequest Task TerminologyCapabilities TestReport TestScript ValueSet VerificationResult
    VisionPrescription
    """
)

# R4 gives AdverseEvent no such parameter, though it has the element.
_NO_IDENTIFIER = _names(
    """
    AdverseEvent AuditEvent Binary BiologicallyDerivedProduct CapabilityStatement CatalogEntry
    CompartmentDefinition GraphDefinition ImplementationGuide Linkage MedicationKnowledge
    MedicinalProductContraindication MedicinalProductIndication MedicinalProductIngredient
    MedicinalProductInteraction MedicinalProductManufactured MedicinalProductUndesirableEffect
    MessageHeader NamingSystem ObservationDefinition OperationDefinition OperationOutcome
    Parameters Provenance SearchParameter Subscription SubstanceNucleicAcid SubstancePolymer
    SubstanceProtein SubstanceReferenceInformation SubstanceSourceMaterial
    SubstanceSpecification TerminologyCapabilities VerificationResult
    """
)

_PATIENT_IS_SUBJECT = _names(
    """
    Account Basic CarePlan CareTeam ChargeItem ClinicalImpression Communication
    CommunicationRequest Composition Condition Contract DeviceRequest DeviceUseStatement
    DiagnosticReport DocumentManifest DocumentReference Encounter Flag Goal GuidanceResponse
    ImagingStudy Invoice List MeasureReport Media MedicationAdministration MedicationDispense
    MedicationRequest MedicationStatement Observation Procedure QuestionnaireResponse
    RequestGroup RiskAssessment ServiceRequest Specimen
    """
)

_ONLY_SUBJECT = _names(
    """
    AdverseEvent MedicinalProductAuthorization MedicinalProductContraindication
    MedicinalProductIndication MedicinalProductInteraction MedicinalProductPackaged
    MedicinalProductUndesirableEffect
    """
)

_ONLY_PATIENT = _names(
    """
    AllergyIntolerance BodyStructure Claim ClaimResponse Consent CoverageEligibilityRequest
    CoverageEligibilityResponse DetectedIssue Device EpisodeOfCare ExplanationOfBenefit
    FamilyMemberHistory Immunization ImmunizationEvaluation ImmunizationRecommendation
    MolecularSequence NutritionOrder RelatedPerson SupplyDelivery VisionPrescription
    """
)

_ELSEWHERE = {
    ("Appointment", "patient"): ("participant.actor",),
    ("AppointmentResponse", "patient"): ("actor",),
    ("AuditEvent", "patient"): ("agent.who", "entity.what"),
    ("Coverage", "patient"): ("beneficiary",),
    ("DocumentManifest", "identifier"): ("masterIdentifier", "identifier"),
    ("DocumentReference", "identifier"): ("masterIdentifier", "identifier"),
    ("EnrollmentRequest", "patient"): ("candidate",),
    ("EnrollmentRequest", "subject"): ("candidate",),
    ("Person", "patient"): ("link.target",),
    ("Provenance", "patient"): ("target",),
    ("ResearchSubject", "patient"): ("individual",),
    ("SupplyRequest", "subject"): ("deliverTo",),
    ("Task", "patient"): ("for",),
    ("Task", "subject"): ("for",),
}


def paths(resource_type: str, parameter: str) -> tuple[str, ...]:
    """Return the dotted element paths that `parameter` searches, empty where the type lacks it."""
    elsewhere = _ELSEWHERE.get((resource_type, parameter))
    if elsewhere is not None:
        return elsewhere
    if parameter == "_tag":
        return ("meta.tag",)
    if parameter == "identifier":
        return () if resource_type in _NO_IDENTIFIER else ("identifier",)
    if resource_type in _PATIENT_IS_SUBJECT and parameter in {"patient", "subject"}:
        return ("subject",)
    only = _ONLY_PATIENT if parameter == "patient" else _ONLY_SUBJECT
    return (parameter,) if parameter in {"patient", "subject"} and resource_type in only else ()


def parameters(resource_type: str) -> tuple[str, ...]:
    """Return the search parameters that select resources of this type, in alphabetical order."""
    some = [name for name in ("identifier", "patient", "subject") if paths(resource_type, name)]
    return ("_id", "_lastUpdated", "_tag", *some)
