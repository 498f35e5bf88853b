import ca.uhn.fhir.interceptor.api.Hook;
import ca.uhn.fhir.interceptor.api.Interceptor;
import ca.uhn.fhir.interceptor.api.Pointcut;
import ca.uhn.fhir.rest.api.RestOperationTypeEnum;
import ca.uhn.fhir.rest.api.server.RequestDetails;
import ca.uhn.fhir.rest.server.exceptions.MethodNotAllowedException;
import ca.uhn.fhir.rest.server.exceptions.UnprocessableEntityException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * An EHR that takes little: no update, no deletion, no Bundle, and no resource of the types that a file lists.
 * The file is read at each request, so that a test may change it; strict is who finds the word "strict" first in it.
 */
@Interceptor
public class Strict {
  private static final Set<RestOperationTypeEnum> CHANGES = EnumSet.of(
      RestOperationTypeEnum.UPDATE, RestOperationTypeEnum.PATCH, RestOperationTypeEnum.DELETE,
      RestOperationTypeEnum.TRANSACTION);
  private final Path file;

  Strict(Path file) {
    this.file = file;
  }

  @Hook(Pointcut.SERVER_INCOMING_REQUEST_PRE_HANDLED)
  public void refuse(RequestDetails request, RestOperationTypeEnum operation) throws IOException {
    List<String> words = Files.exists(file) ? List.of(Files.readString(file).trim().split("\\s+")) : List.of();
    if (words.isEmpty() || !words.get(0).equals("strict")) return;
    if (CHANGES.contains(operation))
      throw new MethodNotAllowedException("nothing can be changed here, and no Bundle is taken");
    if (operation == RestOperationTypeEnum.CREATE && words.contains(request.getResourceName()))
      throw new UnprocessableEntityException("this type is not taken here");
  }
}
