/** What links send and receive by. The devices, which lend it, know no kernel (ARCHITECTURE.md). */
import type { MessageIo } from '../../bus/messageIo.ts';
import { KernelMessage } from '../../kvm/net/messageIo.ts';
import type { GuestMemory } from '../../memory/guestMemory.ts';

export function newMessage({ slots }: GuestMemory): MessageIo {
  return new KernelMessage(slots);
}
