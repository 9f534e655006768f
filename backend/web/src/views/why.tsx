import type { Params } from "../lazy";
import { Explain, useExplain } from "../parts/explain";
import { Failure, Loading } from "../parts/page";

// Why an execution waits, below the strip of its pipeline. revision changes with the pipeline.
export default function Why({ params }: { params: Params }) {
  const explained = useExplain(params.execution ?? "", Number(params.revision));
  if (explained.error !== undefined) return <Failure error={explained.error} reload={explained.reload} />;
  return explained.value ? <Explain of={explained.value} /> : <Loading />;
}
