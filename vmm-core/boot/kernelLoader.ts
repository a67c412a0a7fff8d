/**
 * A boot protocol's loader: tells its images by their headers, finds out in one step whether one can be
 * started and where it goes, and puts it into RAM in another. Between the two the machine writes the
 * firmware's tables, clear of the image.
 */
import type { BootProtocol } from '../config/settings/boot.ts';
import type { BusyRange } from './bootArea.ts';
import { argumentsUnsupported } from './bootError.ts';
import type { BootPlatform, BootRequest } from './bootRequest.ts';
import type { BootState, StartState } from './bootState.ts';
import type { KernelImage } from './kernelImage.ts';

export interface KernelLoader {
  /** What asks for it in a configuration. */
  readonly setting?: BootProtocol;
  /** Whether protocol `auto` takes it for this image. */
  matches(image: KernelImage): boolean;
  /** Throws BootError when the image, its initrd or its command line cannot be used. Nothing is written. */
  locate(image: KernelImage, request: BootRequest): LocatedKernel;
}

/** An image in good order, with its place in RAM. */
export interface LocatedKernel {
  /** What the image covers while it is loaded and when it starts. */
  readonly busy: readonly BusyRange[];
  /**
   * Writes the image and what its protocol hands over. Throws BootError when the image leaves no room for
   * that.
   */
  load(platform: BootPlatform): BootState;
}

/** What a protocol's `locate` finds, for its own `load`. */
interface Located {
  readonly busy: readonly BusyRange[];
}

interface Steps<L extends Located> {
  readonly setting: BootProtocol;
  /** In the user's words. */
  readonly name: string;
  readonly takesInitrdArguments?: boolean;
  matches(image: KernelImage): boolean;
  locate(image: KernelImage, request: BootRequest): L;
  load(request: BootRequest, located: L, platform: BootPlatform): StartState;
}

/** Ties the two steps together: only the second one knows what the first one found. */
export function kernelLoader<L extends Located>(steps: Steps<L>): KernelLoader {
  return {
    setting: steps.setting,
    matches: (image) => steps.matches(image),
    locate(image, request) {
      const located = steps.locate(image, request);
      if (steps.takesInitrdArguments !== true) refuseInitrdArguments(request, steps.name);
      return {
        busy: located.busy,
        load: (platform) => ({ ...steps.load(request, located, platform), protocol: steps.name }),
      };
    },
  };
}

function refuseInitrdArguments({ initrd, initrdArguments }: BootRequest, name: string): void {
  if (initrd === undefined || initrdArguments === undefined) return;
  throw argumentsUnsupported(initrd.name, initrdArguments, name);
}
