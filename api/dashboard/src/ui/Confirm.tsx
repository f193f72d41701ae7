import { useEffect, useId, useRef } from "preact/hooks";

interface ConfirmProps {
  title: string;
  text: string;
  /** What the button says that does it. */
  action: string;
  onConfirm: () => void;
  onClose: () => void;
}

/** Ask before what cannot be taken back; Escape and a click on Keep leave all as it is. */
export function Confirm(props: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => dialog.current?.showModal(), []);
  const confirm = () => {
    props.onConfirm();
    props.onClose();
  };
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={props.onClose} onCancel={props.onClose}>
      <h2 id={id}>{props.title}</h2>
      <p class="user-text">{props.text}</p>
      <div class="buttons">
        <button type="button" onClick={props.onClose}>
          Keep
        </button>
        <button type="button" class="danger" onClick={confirm}>
          {props.action}
        </button>
      </div>
    </dialog>
  );
}
