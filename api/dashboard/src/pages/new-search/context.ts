import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { SearchForm } from "../../state/search-form";

/** The form that the fields of a page belong to. */
export const FormContext = createContext<SearchForm | null>(null);

export function useForm(): SearchForm {
  const form = useContext(FormContext);
  if (!form) throw new Error("a field stands outside of a form");
  return form;
}
