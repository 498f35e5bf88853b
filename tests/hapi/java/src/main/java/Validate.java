import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.SingleValidationMessage;
import ca.uhn.fhir.validation.ValidationOptions;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import java.io.BufferedReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.NpmPackageValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.UnknownCodeSystemWarningValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.r5.utils.validation.constants.BestPracticeWarningLevel;
import org.hl7.fhir.utilities.npm.NpmPackage;

/**
 * The HL7 validator as a long-running process; offline, without a terminology server. Arguments: FHIR packages (.tgz).
 * Reads {"resource": "text", "profiles": ["url"]} a line, answers [{"severity", "location", "message", "id"}] a line.
 */
public class Validate {
  private static final String[] DEFINITIONS = {"StructureDefinition", "ValueSet", "CodeSystem"};

  public static void main(String[] packages) throws Exception {
    PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    System.setOut(System.err); // whatever a library prints must not mix with the answers
    FhirValidator validator = validator(FhirContext.forR4Cached(), packages);
    ObjectMapper json = new ObjectMapper();
    answers.println("READY");
    BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = requests.readLine(); line != null; line = requests.readLine())
      answers.println(json.writeValueAsString(answer(validator, json, json.readTree(line))));
  }

  private static ArrayNode answer(FhirValidator validator, ObjectMapper json, JsonNode request) {
    ValidationOptions options = new ValidationOptions();
    request.path("profiles").forEach(url -> options.addProfile(url.asText()));
    ArrayNode messages = json.createArrayNode();
    try {
      for (SingleValidationMessage found : validator.validateWithResult(request.get("resource").asText(), options).getMessages())
        messages.addObject()
            .put("severity", found.getSeverity().getCode())
            .put("location", found.getLocationString())
            .put("message", found.getMessage())
            .put("id", found.getMessageId());
    } catch (RuntimeException unreadable) {
      messages.addObject().put("severity", "fatal").put("location", "").put("message", String.valueOf(unreadable.getMessage())).put("id", "");
    }
    return messages;
  }

  private static FhirValidator validator(FhirContext context, String[] packages) throws Exception {
    List<IValidationSupport> support = new ArrayList<>();
    support.add(new DefaultProfileValidationSupport(context));
    if (packages.length > 0) support.add(definitions(context, packages));
    support.add(new CommonCodeSystemsTerminologyService(context));
    support.add(new InMemoryTerminologyServerValidationSupport(context));
    support.add(new SnapshotGeneratingValidationSupport(context));
    support.add(new UnknownCodeSystemWarningValidationSupport(context));
    FhirInstanceValidator rules =
        new FhirInstanceValidator(new ValidationSupportChain(support.toArray(IValidationSupport[]::new)));
    rules.setBestPracticeWarningLevel(BestPracticeWarningLevel.Ignore);
    rules.setAnyExtensionsAllowed(true);
    rules.setErrorForUnknownProfiles(packages.length > 0); // without the package a profile is only not checked
    return context.newValidator().registerValidatorModule(rules);
  }

  private static IValidationSupport definitions(FhirContext context, String[] packages) throws Exception {
    NpmPackageValidationSupport found = new NpmPackageValidationSupport(context);
    for (String file : packages)
      try (InputStream in = Files.newInputStream(Path.of(file))) {
        NpmPackage content = NpmPackage.fromPackage(in);
        for (String type : DEFINITIONS)
          for (String name : content.listResources(type))
            try (InputStream definition = content.load("package", name)) {
              found.addResource(context.newJsonParser().parseResource(definition));
            }
      }
    return found;
  }
}
